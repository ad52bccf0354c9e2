package io.mor.backend.cuda;

import io.mor.api.backend.AdamWStep;
import io.mor.api.backend.Backend;
import io.mor.api.backend.EntryTables;
import io.mor.api.backend.HostCopy;
import io.mor.api.backend.Precision;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Reduction;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import jakarta.inject.Inject;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The kernels of one NVIDIA GPU, in single precision or with activations in bfloat16. All work is in the order of one stream; only transfers to and from the host wait. Counts
 * stay on the device. Sums are split by columns and bounds alone and no kernel adds in an order of chance, so the same call gives the same
 * bits, and in {@link CudaMode#INVARIANT} a row's result does not depend on the other rows.
 *
 * <p>Errors: memory that was released or belongs to another backend, and views out of bounds throw and say which. Thread safety: one thread at
 * a time, any thread.
 */
public final class CudaBackend implements Backend {

    private static final System.Logger LOG = System.getLogger(CudaBackend.class.getName());
    static final int NARROWEST =
            16; // columns of tensors that are kept in bfloat16: logits of routers and gates have fewer

    private static final long LOGITS_AT_A_TIME = 8192L * 49152; // the gradient of the head is added to once for so many

    private static final long OWN_BYTES = 256L << 20; // scratch, modules, tables: rather too many

    private final CudaMode mode;
    private final CudaPrecision stored;
    private final CudaContext context;
    private final Device device;
    private final DeviceMemory memory;
    private final Transfers transfers;
    private final Optional<CublasLt> cublas;
    private final ElementwiseKernels elementwise;
    private final RowKernels rows;
    private final GatherKernels gathers;
    private final SelectionKernels selections;
    private final ProductKernels products;
    private final ProjectionKernels projections;
    private final AttentionKernels attention;
    private final PackedGradients gradients;
    private final EntryKernels entries;
    private final OptimizerKernels optimizer;

    /**
     * Opens the GPU, and compiles its kernels when each is first needed.
     *
     * @throws CudaUnavailableException if there is no GPU, driver or compiler; one sentence says which
     */
    @Inject
    public CudaBackend(CudaConfig config) {
        this(config, LibrarySearch.ofThisMachine());
    }

    CudaBackend(CudaConfig config, LibrarySearch search) {
        this.mode = config.mode();
        this.stored = config.precision();
        this.device = Device.open(config.device(), search);
        this.context = new CudaContext(device, compiler(config, search), config.graphs());
        this.memory = context.memory;
        this.transfers = context.transfers;
        try {
            this.cublas = mode == CudaMode.FAST ? openCublas(search) : Optional.empty();
            if (config.products() == CudaProducts.FASTEST) {
                cublas.ifPresent(library -> library.measure(
                        new ProductChoices(config.kernelFolder(), device.name, library.version()),
                        new ProductClock(context)));
            }
        } catch (RuntimeException | Error e) {
            context.close();
            throw e;
        }
        this.elementwise = new ElementwiseKernels(context);
        RowSums squares = new RowSums(context, "sums of squares of rows");
        this.rows = new RowKernels(context, squares);
        this.gathers = new GatherKernels(context, elementwise);
        this.selections = new SelectionKernels(context, elementwise);
        HopperProducts hopper = new HopperProducts(context);
        this.products = new ProductKernels(context, elementwise, rows, hopper, squares, cublas);
        NormedWeights normedWeights = new NormedWeights(context);
        this.projections = new ProjectionKernels(context, products, rows, hopper, normedWeights);
        this.attention = new AttentionKernels(context);
        this.gradients = new PackedGradients(context, products, projections, elementwise, attention, hopper);
        this.entries = new EntryKernels(context);
        this.optimizer = new OptimizerKernels(context, normedWeights);
    }

    /** For tests of single kernel families. */
    CudaContext context() {
        return context;
    }

    private KernelCompiler compiler(CudaConfig config, LibrarySearch search) {
        try {
            return new KernelCompiler(
                    config.kernelFolder(),
                    new Nvrtc(compilerLibrary(search)),
                    device.architecture(),
                    device.driverVersion);
        } catch (RuntimeException | Error e) {
            device.close();
            throw e;
        }
    }

    private Path compilerLibrary(LibrarySearch search) {
        List<String> names = LibrarySearch.versions("libnvrtc", device.driverVersion);
        return search.find(names)
                .library()
                .orElseThrow(
                        () -> new CudaUnavailableException(
                                "GPU " + device.ordinal + " (" + device.name
                                        + ") is there, but CUDA's compiler is not (looked for "
                                        + String.join(", ", names)
                                        + "); install the CUDA toolkit or the Python package nvidia-cuda-nvrtc, or set CUDA_HOME; mor doctor says where it looked"));
    }

    private Optional<CublasLt> openCublas(LibrarySearch search) {
        Optional<Path> library = search.find(LibrarySearch.versions("libcublasLt", device.driverVersion))
                .library();
        if (library.isEmpty()) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "libcublasLt was not found, so matrix products use slower kernels; install the CUDA toolkit or the Python package nvidia-cublas");
            return Optional.empty();
        }
        return Optional.of(new CublasLt(library.get()));
    }

    // ---- identity

    @Override
    public String description() {
        return "cuda: GPU " + device.ordinal + " " + device.name + ", compute capability " + device.major + "."
                + device.minor + ", " + device.multiprocessors + " multiprocessors, "
                + (stored == CudaPrecision.BF16 ? "bf16" : "f32") + ", "
                + (mode == CudaMode.FAST ? "fast" : "invariant") + " mode";
    }

    @Override
    public Precision precision() {
        return Precision.FLOAT32;
    }

    @Override
    public Precision activationPrecision(int columns) {
        return stored == CudaPrecision.BF16 && columns >= NARROWEST ? Precision.BFLOAT16 : Precision.FLOAT32;
    }

    @Override
    public boolean rowIndependent() {
        return mode == CudaMode.INVARIANT;
    }

    /** Bytes of device memory in use by tensors and the kernels' own tables. */
    public long usedBytes() {
        return memory.usedBytes();
    }

    /** The most bytes of device memory that were in use at once. */
    public long peakBytes() {
        return memory.peakBytes();
    }

    /** Bytes of the GPU's memory that nobody holds, also no other process. */
    public long freeBytes() {
        return device.memory()[0];
    }

    @Override
    public OptionalLong availableBytes() {
        return OptionalLong.of(freeBytes());
    }

    /** Copies of weights in bfloat16, on Hopper also times the norm's before them, the workspace of products, and scratch. */
    @Override
    public long ownBytes(long parameters) {
        long copies = stored == CudaPrecision.BF16 ? (device.isHopper() ? 4 : 2) * parameters : 0;
        return copies + (cublas.isPresent() ? CublasLt.WORKSPACE : 0) + OWN_BYTES;
    }

    /** Waits until all kernels that were started have ended. For measurements; results never need it. */
    public void synchronize() {
        device.makeCurrent();
        context.queue.flush();
        device.synchronize();
    }

    /**
     * Runs work with every launch timed on the GPU. For measurements: the work as a whole takes longer than without.
     *
     * @return by kernel, in the order in which each was first launched
     */
    public List<KernelTime> profile(Runnable work) {
        device.makeCurrent();
        try (LaunchClock clock = new LaunchClock(device)) {
            context.kernels.timeBy(Optional.of(clock));
            work.run();
            device.makeCurrent();
            return clock.times();
        } finally {
            context.kernels.timeBy(Optional.empty());
        }
    }

    // ---- memory

    @Override
    public Tensor allocate(int rows, int columns) {
        return allocate(rows, columns, Precision.FLOAT32);
    }

    @Override
    public Tensor allocate(int rows, int columns, Precision stored) {
        if (rows < 0 || columns < 1) {
            throw new IllegalArgumentException(
                    "a tensor [" + rows + ", " + columns + "] cannot be: rows are at least 0, columns at least 1");
        }
        if (stored == Precision.FLOAT64) {
            throw new IllegalArgumentException("the cuda backend keeps tensors in 32 or 16 bit, not in " + stored);
        }
        String name = "tensor [" + rows + ", " + columns + "]";
        device.makeCurrent();
        long bytes = stored.bytes() * Math.min((long) rows * columns, Long.MAX_VALUE / 8);
        DeviceMemory.Block block = memory.allocate(bytes, name);
        return new CudaTensor(
                new Lifetime(context, block, bytes, name),
                block.address(),
                stored == Precision.BFLOAT16,
                false,
                Extent.exact(rows),
                columns);
    }

    @Override
    public IntTensor allocateInts(int length) {
        if (length < 0) {
            throw new IllegalArgumentException("a vector of " + length + " integers cannot be");
        }
        String name = "ints [" + length + "]";
        device.makeCurrent();
        DeviceMemory.Block block = memory.allocate(4L * length, name);
        return new CudaInts(new Lifetime(context, block, 4L * length, name), block.address(), false, length);
    }

    @Override
    public Tensor view(Tensor base, int firstRow, Extent extent, int columns) {
        CudaTensor b = context.of(base);
        long first = (long) firstRow * columns;
        if (columns < 1 || firstRow < 0 || first + (long) extent.bound() * columns > b.size()) {
            throw new IndexOutOfBoundsException("a view [" + extent.bound() + ", " + columns + "] from row " + firstRow
                    + " does not lie within " + b);
        }
        return new CudaTensor(b.lifetime, b.address + b.elementBytes() * first, b.isNarrow, true, extent, columns);
    }

    @Override
    public IntTensor view(IntTensor base, int first, int length) {
        CudaInts b = context.of(base);
        if (first < 0 || length < 0 || (long) first + length > b.length()) {
            throw new IndexOutOfBoundsException(
                    "a view of " + length + " elements from element " + first + " does not lie within " + b);
        }
        return new CudaInts(b.lifetime, b.address + 4L * first, true, length);
    }

    @Override
    public void release(Tensor tensor) {
        CudaTensor t = context.of(tensor);
        release(t.lifetime, t.isView);
    }

    @Override
    public void release(IntTensor tensor) {
        CudaInts t = context.of(tensor);
        release(t.lifetime, t.isView);
    }

    private void release(Lifetime lifetime, boolean isView) {
        if (isView) {
            throw new IllegalArgumentException(
                    "a view of " + lifetime + " owns nothing and cannot be released; release what it views");
        }
        List<DeviceMemory.Block> copies = lifetime.end();
        if (!context.isClosed()) {
            memory.release(lifetime.block);
            copies.forEach(memory::release);
        }
    }

    // ---- transfers

    @Override
    public void write(Tensor tensor, float[] values) {
        CudaTensor t = context.of(tensor);
        requireLength(t.size(), values.length, t);
        device.makeCurrent();
        t.lifetime.written();
        transfers.write(t.address, t.isNarrow, values);
    }

    @Override
    public void write(Tensor tensor, double[] values) {
        CudaTensor t = context.of(tensor);
        requireLength(t.size(), values.length, t);
        device.makeCurrent();
        t.lifetime.written();
        transfers.write(t.address, t.isNarrow, values);
    }

    @Override
    public void write(IntTensor tensor, int[] values) {
        CudaInts t = context.of(tensor);
        requireLength(t.length(), values.length, t);
        device.makeCurrent();
        t.lifetime.written();
        transfers.write(t.address, values);
    }

    @Override
    public float[] readFloats(Tensor tensor) {
        CudaTensor t = context.of(tensor);
        float[] values = new float[arrayLength(t)];
        device.makeCurrent();
        transfers.read(t.address, t.isNarrow, values);
        return values;
    }

    @Override
    public double[] readDoubles(Tensor tensor) {
        CudaTensor t = context.of(tensor);
        double[] values = new double[arrayLength(t)];
        device.makeCurrent();
        transfers.read(t.address, t.isNarrow, values);
        return values;
    }

    @Override
    public int[] readInts(IntTensor tensor) {
        CudaInts t = context.of(tensor);
        int[] values = new int[t.length()];
        device.makeCurrent();
        transfers.read(t.address, values);
        return values;
    }

    private static int arrayLength(CudaTensor tensor) {
        if (tensor.size() > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException(tensor + " is larger than a Java array; read views of it");
        }
        return (int) tensor.size();
    }

    private static void requireLength(long expected, int given, Object target) {
        if (expected != given) {
            throw new IllegalArgumentException(
                    given + " values do not fill " + target + ", which has " + expected + " elements");
        }
    }

    // ---- kernels

    @Override
    public void fill(Tensor out, double value) {
        elementwise.fill(out, value);
    }

    @Override
    public void fill(IntTensor out, int value) {
        elementwise.fill(out, value);
    }

    @Override
    public void copy(Tensor out, Tensor x) {
        elementwise.copy(out, x);
    }

    @Override
    public void affine(Tensor out, Tensor x, double scale, double shift, boolean accumulate) {
        elementwise.affine(out, x, scale, shift, accumulate);
    }

    @Override
    public void add(Tensor out, Tensor a, Tensor b, double scaleB) {
        elementwise.add(out, a, b, scaleB);
    }

    @Override
    public void multiply(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        elementwise.multiply(out, a, b, accumulate);
    }

    @Override
    public void unary(Tensor out, Unary function, Tensor x) {
        elementwise.unary(out, function, x);
    }

    @Override
    public void unaryBackward(Tensor dx, Unary function, Tensor x, Tensor y, Tensor dy, boolean accumulate) {
        elementwise.unaryBackward(dx, function, x, y, dy, accumulate);
    }

    @Override
    public void compare(Tensor out, Tensor x, Comparison comparison, Tensor row) {
        elementwise.compare(out, x, comparison, row);
    }

    @Override
    public void compareElements(Tensor out, Tensor a, Comparison comparison, Tensor b) {
        elementwise.compareElements(out, a, comparison, b);
    }

    @Override
    public void scaleRows(Tensor out, Tensor x, Tensor factors, boolean accumulate) {
        rows.scaleRows(out, x, factors, accumulate);
    }

    @Override
    public void addRow(Tensor out, Tensor x, Tensor row) {
        rows.addRow(out, x, row);
    }

    @Override
    public void multiplyRow(Tensor out, Tensor x, Tensor row, boolean accumulate) {
        rows.multiplyRow(out, x, row, accumulate);
    }

    @Override
    public void broadcastColumn(Tensor out, Tensor column, boolean accumulate) {
        rows.broadcastColumn(out, column, accumulate);
    }

    @Override
    public void broadcastRow(Tensor out, Tensor row, double scale, boolean accumulate) {
        rows.broadcastRow(out, row, scale, accumulate);
    }

    @Override
    public void rowSum(Tensor out, Tensor x, boolean accumulate) {
        rows.rowSum(out, x, accumulate);
    }

    @Override
    public void rowDot(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        rows.rowDot(out, a, b, accumulate);
    }

    @Override
    public void rowLogSumExp(Tensor out, Tensor x) {
        rows.rowLogSumExp(out, x);
    }

    @Override
    public void columnSum(Tensor out, Tensor x, double scale, boolean accumulate) {
        rows.columnSum(out, x, scale, accumulate);
    }

    @Override
    public void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate) {
        rows.columnDot(out, a, b, scale, accumulate);
    }

    @Override
    public void reciprocalCount(Tensor out, Extent extent) {
        rows.reciprocalCount(out, extent);
    }

    @Override
    public void sumOfSquares(Tensor out, Tensor x, boolean accumulate) {
        optimizer.sumOfSquares(out, x, accumulate);
    }

    @Override
    public void softmax(Tensor out, Tensor x) {
        rows.softmax(out, x);
    }

    @Override
    public void softmaxBackward(Tensor dx, Tensor y, Tensor dy, boolean accumulate) {
        rows.softmaxBackward(dx, y, dy, accumulate);
    }

    @Override
    public void argMax(IntTensor out, Tensor x) {
        rows.argMax(out, x);
    }

    @Override
    public void gatherRows(Tensor out, Tensor x, IntTensor index, boolean accumulate) {
        gathers.gatherRows(out, x, index, accumulate);
    }

    @Override
    public void scatterRows(Tensor out, IntTensor index, Tensor x) {
        gathers.scatterRows(out, index, x);
    }

    @Override
    public void scatterAddRows(Tensor out, IntTensor index, Tensor x) {
        gathers.scatterAddRows(out, index, x);
    }

    @Override
    public void pickColumn(Tensor out, Tensor x, IntTensor column) {
        gathers.pickColumn(out, x, column);
    }

    @Override
    public void pickColumnBackward(Tensor dx, IntTensor column, Tensor dy) {
        gathers.pickColumnBackward(dx, column, dy);
    }

    @Override
    public void gatherInts(IntTensor out, IntTensor table, IntTensor index, Extent extent) {
        gathers.gatherInts(out, table, index, extent);
    }

    @Override
    public void toColumn(Tensor out, IntTensor values) {
        gathers.toColumn(out, values);
    }

    @Override
    public void topKMask(Tensor out, Tensor scores, IntTensor offsets, IntTensor k) {
        selections.topKMask(out, scores, offsets, k);
    }

    @Override
    public void reduceGroups(Tensor out, Reduction reduction, Tensor x, IntTensor offsets) {
        selections.reduceGroups(out, reduction, x, offsets);
    }

    @Override
    public void compact(IntTensor index, IntTensor count, Tensor mask) {
        selections.compact(index, count, mask);
    }

    @Override
    public void compactOffsets(IntTensor out, IntTensor index, Extent selected, IntTensor offsets) {
        selections.compactOffsets(out, index, selected, offsets);
    }

    @Override
    public void uniformRows(Tensor out, RandomKey key, IntTensor high, IntTensor low) {
        elementwise.uniformRows(out, key, high, low);
    }

    @Override
    public void uniform(Tensor out, RandomKey key) {
        elementwise.uniform(out, key);
    }

    @Override
    public void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
        products.matmul(out, a, transposeA, b, transposeB, accumulate);
    }

    @Override
    public void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        rows.rmsNorm(out, rstd, x, weight, variant, epsilon);
    }

    @Override
    public void rmsNormBackward(
            Tensor dx,
            Tensor dweight,
            Tensor x,
            Tensor rstd,
            Tensor weight,
            Optional<IntTensor> variant,
            Tensor dy,
            boolean accumulate) {
        rows.rmsNormBackward(dx, dweight, Optional.empty(), x, rstd, weight, variant, dy, accumulate);
    }

    @Override
    public void rmsNormBackward(
            Tensor dx,
            Tensor dweight,
            Tensor normed,
            Tensor x,
            Tensor rstd,
            Tensor weight,
            Optional<IntTensor> variant,
            double epsilon,
            Tensor dy,
            boolean accumulate) {
        boolean inOnePass = rows.areVectors(normed) && rows.isNormOfVectors(dx, dweight, x, weight, variant, dy);
        if (!inOnePass) {
            rows.rmsNorm(normed, rstd, x, weight, variant, epsilon);
        }
        rows.rmsNormBackward(
                dx,
                dweight,
                inOnePass ? Optional.of(normed) : Optional.empty(),
                x,
                rstd,
                weight,
                variant,
                dy,
                accumulate);
    }

    @Override
    public void rope(Tensor out, Tensor x, IntTensor position, int headDim, double theta, boolean inverse) {
        projections.rope(out, x, position, headDim, theta, inverse);
    }

    @Override
    public void attention(
            Tensor out,
            Tensor logSumExp,
            Tensor queries,
            Tensor keys,
            Tensor values,
            AttentionRanges ranges,
            AttentionShape shape) {
        attention.attention(out, logSumExp, queries, keys, values, ranges, shape);
    }

    @Override
    public void attentionBackward(
            Tensor dqueries,
            Tensor dkeys,
            Tensor dvalues,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            AttentionRanges ranges,
            AttentionShape shape) {
        attentionBackward(dqueries, dkeys, dvalues, queries, keys, values, out, logSumExp, dout, ranges, shape, true);
    }

    @Override
    public void attentionBackward(
            Tensor dqueries,
            Tensor dkeys,
            Tensor dvalues,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            AttentionRanges ranges,
            AttentionShape shape,
            boolean accumulate) {
        boolean sets = !accumulate
                && attention.canSetGradients(shape, dqueries, dkeys, dvalues, queries, keys, values, out, dout);
        if (!accumulate && !sets) {
            fill(dkeys, 0);
            fill(dvalues, 0);
        }
        attention.attentionBackward(
                dqueries, dkeys, dvalues, queries, keys, values, out, logSumExp, dout, ranges, shape, !sets);
    }

    @Override
    public void causalRanges(
            IntTensor start,
            IntTensor end,
            IntTensor querySequence,
            IntTensor queryPosition,
            Extent queries,
            IntTensor keyOffsets,
            IntTensor keyPosition,
            int window) {
        attention.causalRanges(start, end, querySequence, queryPosition, queries, keyOffsets, keyPosition, window);
    }

    @Override
    public void crossEntropy(Tensor out, Tensor logits, IntTensor target) {
        rows.crossEntropy(out, logits, target);
    }

    @Override
    public void crossEntropyBackward(Tensor dlogits, Tensor logits, IntTensor target, Tensor dy) {
        rows.crossEntropyBackward(dlogits, logits, target, dy);
    }

    @Override
    public void appendEntries(
            IntTensor poolRow,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent) {
        entries.appendEntries(poolRow, tables, sequence, position, recursion, extent);
    }

    @Override
    public void entryRanges(
            IntTensor start,
            IntTensor end,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent) {
        entries.entryRanges(start, end, tables, sequence, position, recursion, extent);
    }

    @Override
    public void adamW(
            Tensor parameter,
            Tensor gradient,
            Tensor firstMoment,
            Tensor secondMoment,
            Tensor gradientScale,
            AdamWStep step) {
        optimizer.adamW(parameter, gradient, firstMoment, secondMoment, gradientScale, step);
    }

    @Override
    public void swiGlu(Tensor out, Tensor gate, Tensor up) {
        elementwise.swiGlu(out, gate, up);
    }

    @Override
    public void swiGluBackward(Tensor dgate, Tensor dup, Tensor gate, Tensor up, Tensor dy) {
        elementwise.swiGluBackward(dgate, dup, gate, up, dy);
    }

    @Override
    public void addToRows(Tensor out, Tensor base, IntTensor index, Tensor x, Optional<Tensor> gate) {
        gathers.addToRows(out, base, index, x, gate);
    }

    @Override
    public void sumOfSquares(Tensor out, List<Tensor> tensors) {
        optimizer.sumOfSquares(out, tensors);
    }

    @Override
    public HostCopy readLater(Tensor tensor) {
        CudaTensor t = context.of(tensor);
        if (t.size() > LaterReads.LARGEST || t.size() == 0 || t.isNarrow) {
            return Backend.super.readLater(tensor);
        }
        return context.laterReads.read(
                (int) t.size(), place -> context.transfers.copy(place, t.address, t.size() * Float.BYTES));
    }

    @Override
    public void repeated(Object key, Runnable work) {
        device.makeCurrent();
        context.queue.repeated(key, work);
    }

    /** How often repeated work was replayed as a graph, captured, and launched kernel by kernel so far. */
    public String graphUse() {
        LaunchQueue.Counts counts = context.queue.counts();
        return counts.replayed() + " runs replayed as graphs, " + counts.captured() + " graphs captured, "
                + counts.oneByOne() + " runs launched kernel by kernel";
    }

    @Override
    public void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        optimizer.clipFactor(out, sumOfSquares, maxNorm);
    }

    // ---- tier 2

    @Override
    public void matmulAdd(Tensor out, Tensor base, Tensor a, boolean transposeA, Tensor b, boolean transposeB) {
        products.matmulAdd(out, base, a, transposeA, b, transposeB);
    }

    @Override
    public void linears(List<Tensor> outs, Tensor x, List<Ops.Projection> layers) {
        if (!projections.linears(outs, x, layers)) {
            Backend.super.linears(outs, x, layers);
        }
    }

    @Override
    public void linearsBackward(
            Tensor dx, List<Optional<Tensor>> dweights, Tensor x, List<Ops.Projection> layers, List<Tensor> douts) {
        if (!projections.linearsBackward(dx, dweights, x, layers, douts)) {
            Backend.super.linearsBackward(dx, dweights, x, layers, douts);
        }
    }

    @Override
    public void gatedLinears(Tensor gate, Tensor up, Tensor inner, Tensor x, Tensor gateWeight, Tensor upWeight) {
        if (!projections.gatedLinears(gate, up, inner, x, gateWeight, upWeight)) {
            Backend.super.gatedLinears(gate, up, inner, x, gateWeight, upWeight);
        }
    }

    @Override
    public void normedLinears(
            List<Tensor> outs, Tensor normed, boolean wantsNormed, Ops.Norm norm, List<Ops.Projection> layers) {
        if (!projections.normedLinears(outs, normed, wantsNormed, norm, layers)) {
            Backend.super.normedLinears(outs, normed, wantsNormed, norm, layers);
        }
    }

    @Override
    public void normedGatedLinears(
            Tensor gate,
            Tensor up,
            Tensor inner,
            Tensor normed,
            boolean wantsNormed,
            Ops.Norm norm,
            Tensor gateWeight,
            Tensor upWeight) {
        if (!projections.normedGatedLinears(gate, up, inner, normed, wantsNormed, norm, gateWeight, upWeight)) {
            Backend.super.normedGatedLinears(gate, up, inner, normed, wantsNormed, norm, gateWeight, upWeight);
        }
    }

    @Override
    public void gatedLinearsGradient(
            Tensor packed,
            Tensor inner,
            boolean wantsInner,
            Tensor gate,
            Tensor up,
            Tensor dout,
            Tensor down,
            List<Ops.Projection> layers) {
        if (gradients.areSideBySide(packed, layers)) {
            gradients.gatedLinearsGradient(packed, inner, wantsInner, gate, up, dout, down);
        } else {
            Backend.super.gatedLinearsGradient(packed, inner, wantsInner, gate, up, dout, down, layers);
        }
    }

    @Override
    public void attentionGradient(
            Tensor packed,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            AttentionRanges ranges,
            AttentionShape shape,
            List<Ops.Projection> layers) {
        if (gradients.areSideBySide(packed, layers)) {
            gradients.attentionGradient(packed, queries, keys, values, out, logSumExp, dout, ranges, shape, layers);
        } else {
            Backend.super.attentionGradient(packed, queries, keys, values, out, logSumExp, dout, ranges, shape, layers);
        }
    }

    @Override
    public void attentionGradientThroughOutput(
            Tensor packed,
            Tensor dout,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dy,
            Tensor output,
            AttentionRanges ranges,
            AttentionShape shape,
            List<Ops.Projection> layers) {
        if (gradients.areSideBySide(packed, layers)) {
            gradients.attentionGradientThroughOutput(
                    packed, dout, queries, keys, values, out, logSumExp, dy, output, ranges, shape, layers);
        } else {
            Backend.super.attentionGradientThroughOutput(
                    packed, dout, queries, keys, values, out, logSumExp, dy, output, ranges, shape, layers);
        }
    }

    @Override
    public void packedInputGradient(Tensor dx, Tensor packed, List<Ops.Projection> layers) {
        if (gradients.areSideBySide(packed, layers)) {
            gradients.inputGradient(dx, packed, layers);
        } else {
            Backend.super.packedInputGradient(dx, packed, layers);
        }
    }

    @Override
    public void packedInputGradientThroughNorm(
            Tensor dx,
            Tensor dweight,
            Optional<Tensor> normed,
            Tensor dnormed,
            Tensor packed,
            List<Ops.Projection> layers,
            Ops.Norm norm,
            boolean accumulate) {
        boolean done = gradients.areSideBySide(packed, layers)
                && gradients.inputGradientThroughNorm(dx, dweight, normed, packed, layers, norm, accumulate);
        if (!done) {
            Backend.super.packedInputGradientThroughNorm(
                    dx, dweight, normed, dnormed, packed, layers, norm, accumulate);
        }
    }

    @Override
    public void packedWeightGradients(
            List<Optional<Tensor>> dweights, Tensor packed, Tensor x, List<Ops.Projection> layers, boolean accumulate) {
        if (gradients.areSideBySide(packed, layers)) {
            gradients.weightGradients(dweights, packed, x, layers, accumulate);
        } else {
            Backend.super.packedWeightGradients(dweights, packed, x, layers, accumulate);
        }
    }

    @Override
    public void crossEntropyGradient(Tensor out, Tensor logits, IntTensor target, Tensor dy) {
        rows.crossEntropyGradient(out, logits, target, dy);
    }

    @Override
    public long logitsAtATime() {
        return LOGITS_AT_A_TIME;
    }

    @Override
    public void close() {
        if (!context.isClosed()) {
            device.makeCurrent();
            cublas.ifPresent(CublasLt::close);
            context.close();
        }
    }
}
