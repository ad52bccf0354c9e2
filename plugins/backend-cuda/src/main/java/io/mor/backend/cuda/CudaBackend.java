package io.mor.backend.cuda;

import io.mor.api.backend.AdamWStep;
import io.mor.api.backend.Backend;
import io.mor.api.backend.EntryTables;
import io.mor.api.backend.Precision;
import io.mor.api.cache.KvVisit;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Reduction;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import jakarta.inject.Inject;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The kernels of one NVIDIA GPU in single precision. All work is in the order of one stream; only transfers to and from the host wait. Counts
 * stay on the device. Sums are split by columns and bounds alone and no kernel adds in an order of chance, so the same call gives the same
 * bits, and in {@link CudaMode#INVARIANT} a row's result does not depend on the other rows.
 *
 * <p>Errors: memory that was released or belongs to another backend, and views out of bounds throw and say which. Thread safety: one thread at
 * a time, any thread.
 */
public final class CudaBackend implements Backend {

    private static final System.Logger LOG = System.getLogger(CudaBackend.class.getName());
    private static final int COLUMN_CHUNK = 256; // rows that one block sums
    private static final int ATTENTION_TILE = 128; // entries that a block of the attention kernels takes at a time
    private static final long MOST_CHUNK_BYTES = 64L << 20;
    private static final int SORTED_TOGETHER = 2048; // keys that one block sorts in shared memory

    private final CudaMode mode;
    private final Device device;
    private final DeviceMemory memory;
    private final Transfers transfers;
    private final Kernels kernels;
    private final Optional<CublasLt> cublas;
    private final Map<List<KvVisit>, Long> visitTables = new HashMap<>();
    private final Map<Rotation, Long> rotationTables = new HashMap<>();
    private DeviceMemory.Block scratch;
    private Optional<DeviceMemory.Block> productWorkspace = Optional.empty();
    private boolean closed;

    /** A rotary embedding's constants. */
    private record Rotation(int headDim, double theta) {}

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
        this.device = Device.open(config.device(), search);
        Transfers opened = null;
        try {
            KernelCompiler compiler = new KernelCompiler(
                    config.kernelFolder(),
                    new Nvrtc(compilerLibrary(search)),
                    device.architecture(),
                    device.driverVersion);
            this.kernels = new Kernels(device, compiler);
            this.memory = new DeviceMemory(device);
            opened = new Transfers(device);
            this.transfers = opened;
            this.scratch = memory.allocate(1 << 20, "scratch of the kernels");
            this.cublas = mode == CudaMode.FAST ? openCublas(search) : Optional.empty();
        } catch (RuntimeException | Error e) {
            if (opened != null) {
                opened.close();
            }
            device.close(); // the context's end frees what was allocated in it
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
                + device.minor + ", " + device.multiprocessors + " multiprocessors, f32, "
                + (mode == CudaMode.FAST ? "fast" : "invariant") + " mode";
    }

    @Override
    public Precision precision() {
        return Precision.FLOAT32;
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

    /** Waits until all kernels that were started have ended. For measurements; results never need it. */
    public void synchronize() {
        device.makeCurrent();
        device.synchronize();
    }

    // ---- memory

    @Override
    public Tensor allocate(int rows, int columns) {
        if (rows < 0 || columns < 1) {
            throw new IllegalArgumentException(
                    "a tensor [" + rows + ", " + columns + "] cannot be: rows are at least 0, columns at least 1");
        }
        String name = "tensor [" + rows + ", " + columns + "]";
        device.makeCurrent();
        DeviceMemory.Block block = memory.allocate(4 * Math.min((long) rows * columns, Long.MAX_VALUE / 8), name);
        return new CudaTensor(new Lifetime(this, block, name), block.address(), false, Extent.exact(rows), columns);
    }

    @Override
    public IntTensor allocateInts(int length) {
        if (length < 0) {
            throw new IllegalArgumentException("a vector of " + length + " integers cannot be");
        }
        String name = "ints [" + length + "]";
        device.makeCurrent();
        DeviceMemory.Block block = memory.allocate(4L * length, name);
        return new CudaInts(new Lifetime(this, block, name), block.address(), false, length);
    }

    @Override
    public Tensor view(Tensor base, int firstRow, Extent extent, int columns) {
        CudaTensor b = of(base);
        long first = (long) firstRow * columns;
        if (columns < 1 || firstRow < 0 || first + (long) extent.bound() * columns > b.size()) {
            throw new IndexOutOfBoundsException("a view [" + extent.bound() + ", " + columns + "] from row " + firstRow
                    + " does not lie within " + b);
        }
        return new CudaTensor(b.lifetime, b.address + 4 * first, true, extent, columns);
    }

    @Override
    public IntTensor view(IntTensor base, int first, int length) {
        CudaInts b = of(base);
        if (first < 0 || length < 0 || (long) first + length > b.length()) {
            throw new IndexOutOfBoundsException(
                    "a view of " + length + " elements from element " + first + " does not lie within " + b);
        }
        return new CudaInts(b.lifetime, b.address + 4L * first, true, length);
    }

    @Override
    public void release(Tensor tensor) {
        CudaTensor t = of(tensor);
        release(t.lifetime, t.isView);
    }

    @Override
    public void release(IntTensor tensor) {
        CudaInts t = of(tensor);
        release(t.lifetime, t.isView);
    }

    private void release(Lifetime lifetime, boolean isView) {
        if (isView) {
            throw new IllegalArgumentException(
                    "a view of " + lifetime + " owns nothing and cannot be released; release what it views");
        }
        lifetime.end();
        if (!closed) {
            memory.release(lifetime.block);
        }
    }

    private CudaTensor of(Tensor tensor) {
        if (!(tensor instanceof CudaTensor t)) {
            throw new IllegalArgumentException(
                    tensor.getClass().getName() + " is a tensor of another backend; copy its values over");
        }
        t.lifetime.check(this);
        return t;
    }

    private CudaInts of(IntTensor tensor) {
        if (!(tensor instanceof CudaInts t)) {
            throw new IllegalArgumentException(
                    tensor.getClass().getName() + " is a vector of another backend; copy its values over");
        }
        t.lifetime.check(this);
        return t;
    }

    private long address(Tensor tensor) {
        return of(tensor).address;
    }

    private long address(IntTensor tensor) {
        return of(tensor).address;
    }

    private long address(Optional<IntTensor> tensor) {
        return tensor.isEmpty() ? 0 : address(tensor.get());
    }

    /** The address of an extent's count, 0 if its bound is exact. */
    private long count(Extent extent) {
        return address(extent.count());
    }

    private Kernels kernel(String name) {
        device.makeCurrent();
        return kernels.kernel(name);
    }

    /** Appends bound, count and columns of a tensor's rows. */
    private Kernels shape(Kernels launch, Tensor tensor) {
        return launch.integer(tensor.rows()).pointer(count(tensor.extent())).integer(tensor.columns());
    }

    private static long elements(Tensor tensor) {
        return (long) tensor.rows() * tensor.columns();
    }

    /** Memory for one kernel and those that follow it at once; the next call may hand out the same. */
    private long scratch(long bytes) {
        if (scratch.bytes() < bytes) {
            DeviceMemory.Block larger = memory.allocate(bytes, "scratch of the kernels");
            memory.release(scratch);
            scratch = larger;
        }
        return scratch.address();
    }

    // ---- transfers

    @Override
    public void write(Tensor tensor, float[] values) {
        CudaTensor t = of(tensor);
        requireLength(t.size(), values.length, t);
        device.makeCurrent();
        transfers.write(t.address, values);
    }

    @Override
    public void write(Tensor tensor, double[] values) {
        CudaTensor t = of(tensor);
        requireLength(t.size(), values.length, t);
        device.makeCurrent();
        transfers.write(t.address, values);
    }

    @Override
    public void write(IntTensor tensor, int[] values) {
        CudaInts t = of(tensor);
        requireLength(t.length(), values.length, t);
        device.makeCurrent();
        transfers.write(t.address, values);
    }

    @Override
    public float[] readFloats(Tensor tensor) {
        CudaTensor t = of(tensor);
        float[] values = new float[arrayLength(t)];
        device.makeCurrent();
        transfers.read(t.address, values);
        return values;
    }

    @Override
    public double[] readDoubles(Tensor tensor) {
        CudaTensor t = of(tensor);
        double[] values = new double[arrayLength(t)];
        device.makeCurrent();
        transfers.read(t.address, values);
        return values;
    }

    @Override
    public int[] readInts(IntTensor tensor) {
        CudaInts t = of(tensor);
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

    // ---- tier 1: element-wise

    @Override
    public void fill(Tensor out, double value) {
        kernel("fillFloats")
                .pointer(address(out))
                .wide(elements(out))
                .real(value)
                .overElements(elements(out));
    }

    @Override
    public void fill(IntTensor out, int value) {
        kernel("fillInts")
                .pointer(address(out))
                .wide(out.length())
                .integer(value)
                .overElements(out.length());
    }

    @Override
    public void copy(Tensor out, Tensor x) {
        shape(kernel("copyRows").pointer(address(out)).pointer(address(x)), out).overElements(elements(out));
    }

    @Override
    public void affine(Tensor out, Tensor x, double scale, double shift, boolean accumulate) {
        shape(kernel("affine").pointer(address(out)).pointer(address(x)), out)
                .real(scale)
                .real(shift)
                .flag(accumulate)
                .overElements(elements(out));
    }

    @Override
    public void add(Tensor out, Tensor a, Tensor b, double scaleB) {
        shape(kernel("add").pointer(address(out)).pointer(address(a)).pointer(address(b)), out)
                .real(scaleB)
                .overElements(elements(out));
    }

    @Override
    public void multiply(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        shape(kernel("multiply").pointer(address(out)).pointer(address(a)).pointer(address(b)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    @Override
    public void unary(Tensor out, Unary function, Tensor x) {
        shape(kernel("unary").pointer(address(out)).pointer(address(x)), out)
                .integer(number(function))
                .overElements(elements(out));
    }

    @Override
    public void unaryBackward(Tensor dx, Unary function, Tensor x, Tensor y, Tensor dy, boolean accumulate) {
        shape(
                        kernel("unaryBackward")
                                .pointer(address(dx))
                                .pointer(address(x))
                                .pointer(address(y))
                                .pointer(address(dy)),
                        dx)
                .integer(number(function))
                .flag(accumulate)
                .overElements(elements(dx));
    }

    /** The number under which a function is known to the kernels. */
    private static int number(Unary function) {
        return switch (function) {
            case SIGMOID -> 0;
            case TANH -> 1;
            case SILU -> 2;
            case GELU -> 3;
            case EXP -> 4;
            case LOG -> 5;
            case SQUARE -> 6;
            case SQRT -> 7;
            case RECIPROCAL -> 8;
            case SOFTPLUS -> 9;
        };
    }

    @Override
    public void compare(Tensor out, Tensor x, Comparison comparison, Tensor row) {
        shape(kernel("compareRow").pointer(address(out)).pointer(address(x)).pointer(address(row)), out)
                .integer(number(comparison))
                .overElements(elements(out));
    }

    @Override
    public void compareElements(Tensor out, Tensor a, Comparison comparison, Tensor b) {
        shape(
                        kernel("compareElements")
                                .pointer(address(out))
                                .pointer(address(a))
                                .pointer(address(b)),
                        out)
                .integer(number(comparison))
                .overElements(elements(out));
    }

    private static int number(Comparison comparison) {
        return switch (comparison) {
            case GREATER -> 0;
            case AT_LEAST -> 1;
            case EQUAL -> 2;
            case LESS -> 3;
        };
    }

    // ---- tier 1: rows and columns

    @Override
    public void scaleRows(Tensor out, Tensor x, Tensor factors, boolean accumulate) {
        shape(kernel("scaleRows").pointer(address(out)).pointer(address(x)).pointer(address(factors)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    @Override
    public void addRow(Tensor out, Tensor x, Tensor row) {
        shape(kernel("addRow").pointer(address(out)).pointer(address(x)).pointer(address(row)), out)
                .overElements(elements(out));
    }

    @Override
    public void multiplyRow(Tensor out, Tensor x, Tensor row, boolean accumulate) {
        shape(kernel("multiplyRow").pointer(address(out)).pointer(address(x)).pointer(address(row)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    @Override
    public void broadcastColumn(Tensor out, Tensor column, boolean accumulate) {
        shape(kernel("broadcastColumn").pointer(address(out)).pointer(address(column)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    @Override
    public void broadcastRow(Tensor out, Tensor row, double scale, boolean accumulate) {
        shape(kernel("broadcastRow").pointer(address(out)).pointer(address(row)), out)
                .real(scale)
                .flag(accumulate)
                .overElements(elements(out));
    }

    @Override
    public void rowSum(Tensor out, Tensor x, boolean accumulate) {
        shape(kernel("rowSum").pointer(address(out)).pointer(address(x)), x)
                .flag(accumulate)
                .overRows(x.rows(), x.columns());
    }

    @Override
    public void rowDot(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        shape(kernel("rowDot").pointer(address(out)).pointer(address(a)).pointer(address(b)), a)
                .flag(accumulate)
                .overRows(a.rows(), a.columns());
    }

    @Override
    public void rowLogSumExp(Tensor out, Tensor x) {
        shape(kernel("rowLogSumExp").pointer(address(out)).pointer(address(x)), x)
                .overRows(x.rows(), x.columns());
    }

    @Override
    public void columnSum(Tensor out, Tensor x, double scale, boolean accumulate) {
        sumColumns(address(out), address(x), 0, 0, 0, 1, x, scale, accumulate);
    }

    @Override
    public void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate) {
        sumColumns(address(out), address(a), address(b), 0, 0, 1, a, scale, accumulate);
    }

    /**
     * {@code out [variants, columns] (+)= scale * } sums over rows of {@code a * b * factors}: first within chunks of rows, then over the chunks.
     *
     * @param b second factor, 0 for none
     * @param factors factors of the rows, 0 for none
     * @param variant which row of out a row belongs to, 0 if all belong to the first
     * @param rows whose extent and columns count
     */
    private void sumColumns(
            long out,
            long a,
            long b,
            long factors,
            long variant,
            int variants,
            Tensor rows,
            double scale,
            boolean accumulate) {
        int columns = rows.columns();
        int chunks = Math.max(1, (rows.rows() + COLUMN_CHUNK - 1) / COLUMN_CHUNK);
        boolean isWhole = chunks == 1;
        long partial = isWhole ? out : scratch(4L * chunks * variants * columns);
        shape(
                        kernel("columnSums")
                                .pointer(partial)
                                .pointer(a)
                                .pointer(b)
                                .pointer(factors)
                                .pointer(variant),
                        rows)
                .integer(COLUMN_CHUNK)
                .real(isWhole ? scale : 1)
                .flag(isWhole && accumulate)
                .launch((columns + 31) / 32, chunks, variants, 32, 8, 0);
        if (!isWhole) {
            int width = variants * columns;
            kernel("columnSums")
                    .pointer(out)
                    .pointer(partial)
                    .pointer(0)
                    .pointer(0)
                    .pointer(0)
                    .integer(chunks)
                    .pointer(0)
                    .integer(width)
                    .integer(chunks)
                    .real(scale)
                    .flag(accumulate)
                    .launch((width + 31) / 32, 1, 1, 32, 8, 0);
        }
    }

    @Override
    public void reciprocalCount(Tensor out, Extent extent) {
        kernel("reciprocalCount")
                .pointer(address(out))
                .integer(extent.bound())
                .pointer(count(extent))
                .launch(1, 1, 1, 1, 1, 0);
    }

    @Override
    public void sumOfSquares(Tensor out, Tensor x, boolean accumulate) {
        int blocks = Math.clamp((elements(x) + 16383) / 16384, 1, 1024);
        long share = (elements(x) + blocks - 1) / blocks;
        long partials = scratch(8L * blocks);
        shape(kernel("squares").pointer(partials).pointer(address(x)), x)
                .wide(share)
                .launch(blocks, 1, 1, 256, 1, 0);
        kernel("addSquares")
                .pointer(address(out))
                .pointer(partials)
                .integer(blocks)
                .flag(accumulate)
                .launch(1, 1, 1, 256, 1, 0);
    }

    @Override
    public void softmax(Tensor out, Tensor x) {
        shape(kernel("softmax").pointer(address(out)).pointer(address(x)), x).overRows(x.rows(), x.columns());
    }

    @Override
    public void softmaxBackward(Tensor dx, Tensor y, Tensor dy, boolean accumulate) {
        shape(kernel("softmaxBackward").pointer(address(dx)).pointer(address(y)).pointer(address(dy)), dx)
                .flag(accumulate)
                .overRows(dx.rows(), dx.columns());
    }

    @Override
    public void argMax(IntTensor out, Tensor x) {
        shape(kernel("argMax").pointer(address(out)).pointer(address(x)), x).overRows(x.rows(), x.columns());
    }

    // ---- tier 1: gather and scatter

    @Override
    public void gatherRows(Tensor out, Tensor x, IntTensor index, boolean accumulate) {
        shape(kernel("gatherRows").pointer(address(out)).pointer(address(x)).pointer(address(index)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    @Override
    public void scatterRows(Tensor out, IntTensor index, Tensor x) {
        shape(
                        kernel("scatterRows")
                                .pointer(address(out))
                                .pointer(address(index))
                                .pointer(address(x)),
                        x)
                .overElements(elements(x));
    }

    @Override
    public void scatterAddRows(Tensor out, IntTensor index, Tensor x) {
        int rows = x.rows();
        if (rows == 0) {
            return;
        }
        int size = Math.max(SORTED_TOGETHER, Integer.highestOneBit(Math.max(1, rows - 1)) << 1);
        long keys = scratch(8L * size);
        kernel("scatterKeys")
                .pointer(keys)
                .pointer(address(index))
                .integer(rows)
                .pointer(count(x.extent()))
                .integer(size)
                .overElements(size);
        int blocks = size / SORTED_TOGETHER;
        kernel("sortNear")
                .pointer(keys)
                .integer(2)
                .integer(SORTED_TOGETHER)
                .launch(blocks, 1, 1, SORTED_TOGETHER / 2, 1, 0);
        for (int run = 2 * SORTED_TOGETHER; run <= size; run *= 2) {
            for (int distance = run / 2; distance >= SORTED_TOGETHER; distance /= 2) {
                kernel("sortFar")
                        .pointer(keys)
                        .integer(size / 2)
                        .integer(run)
                        .integer(distance)
                        .overElements(size / 2);
            }
            kernel("sortNear").pointer(keys).integer(run).integer(run).launch(blocks, 1, 1, SORTED_TOGETHER / 2, 1, 0);
        }
        shape(kernel("addSortedRows").pointer(address(out)).pointer(keys).pointer(address(x)), x)
                .launch(Math.min(rows, 1 << 20), Math.min((x.columns() + 127) / 128, 65535), 1, 128, 1, 0);
    }

    @Override
    public void pickColumn(Tensor out, Tensor x, IntTensor column) {
        kernel("pickColumn")
                .pointer(address(out))
                .pointer(address(x))
                .pointer(address(column))
                .integer(out.rows())
                .pointer(count(out.extent()))
                .integer(x.columns())
                .overElements(out.rows());
    }

    @Override
    public void pickColumnBackward(Tensor dx, IntTensor column, Tensor dy) {
        kernel("pickColumnBackward")
                .pointer(address(dx))
                .pointer(address(column))
                .pointer(address(dy))
                .integer(dy.rows())
                .pointer(count(dy.extent()))
                .integer(dx.columns())
                .overElements(dy.rows());
    }

    @Override
    public void gatherInts(IntTensor out, IntTensor table, IntTensor index, Extent extent) {
        kernel("gatherInts")
                .pointer(address(out))
                .pointer(address(table))
                .pointer(address(index))
                .integer(extent.bound())
                .pointer(count(extent))
                .overElements(extent.bound());
    }

    @Override
    public void toColumn(Tensor out, IntTensor values) {
        kernel("toColumn")
                .pointer(address(out))
                .pointer(address(values))
                .integer(out.rows())
                .pointer(count(out.extent()))
                .overElements(out.rows());
    }

    // ---- tier 1: selection

    @Override
    public void topKMask(Tensor out, Tensor scores, IntTensor offsets, IntTensor k) {
        fill(out, 0);
        int groups = offsets.length() - 1;
        if (groups > 0 && out.rows() > 0) {
            kernel("topKMask")
                    .pointer(address(out))
                    .pointer(address(scores))
                    .pointer(address(offsets))
                    .pointer(address(k))
                    .integer(scores.rows())
                    .pointer(count(scores.extent()))
                    .launch(groups, 1, 1, 1024, 1, 0);
        }
    }

    @Override
    public void reduceGroups(Tensor out, Reduction reduction, Tensor x, IntTensor offsets) {
        if (out.rows() > 0) {
            int number = switch (reduction) {
                case SUM -> 0;
                case MAXIMUM -> 1;
                case MINIMUM -> 2;
            };
            kernel("reduceGroups")
                    .pointer(address(out))
                    .pointer(address(x))
                    .pointer(address(offsets))
                    .integer(out.rows())
                    .pointer(count(out.extent()))
                    .integer(number)
                    .launch(out.rows(), 1, 1, 256, 1, 0);
        }
    }

    @Override
    public void compact(IntTensor index, IntTensor count, Tensor mask) {
        kernel("compact")
                .pointer(address(index))
                .pointer(address(count))
                .pointer(address(mask))
                .integer(mask.rows())
                .pointer(count(mask.extent()))
                .launch(1, 1, 1, 1024, 1, 0);
    }

    @Override
    public void compactOffsets(IntTensor out, IntTensor index, Extent selected, IntTensor offsets) {
        kernel("compactOffsets")
                .pointer(address(out))
                .pointer(address(index))
                .integer(selected.bound())
                .pointer(count(selected))
                .pointer(address(offsets))
                .integer(offsets.length())
                .overElements(offsets.length());
    }

    @Override
    public void uniformRows(Tensor out, RandomKey key, IntTensor high, IntTensor low) {
        kernel("uniformRows")
                .pointer(address(out))
                .pointer(address(high))
                .pointer(address(low))
                .integer(out.rows())
                .pointer(count(out.extent()))
                .wide(key.seed())
                .wide(key.stream())
                .wide(key.step())
                .overElements(out.rows());
    }

    @Override
    public void uniform(Tensor out, RandomKey key) {
        shape(kernel("uniform").pointer(address(out)), out)
                .wide(key.seed())
                .wide(key.stream())
                .wide(key.step())
                .overElements(elements(out));
    }

    // ---- tier 1: layers

    @Override
    public void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
        int m = out.rows();
        int n = out.columns();
        int inner = transposeA ? a.rows() : a.columns();
        if (m == 0) {
            return;
        }
        // the count of what is summed over is known to the device alone, and cuBLASLt takes sizes from the host
        boolean isCountedSum = transposeA && !a.extent().isExact();
        if (cublas.isPresent() && !isCountedSum && inner > 0) {
            device.makeCurrent();
            if (productWorkspace.isEmpty()) {
                productWorkspace = Optional.of(memory.allocate(CublasLt.WORKSPACE, "workspace of matrix products"));
            }
            cublas.get()
                    .multiply(
                            address(out),
                            m,
                            n,
                            address(a),
                            transposeA,
                            address(b),
                            transposeB,
                            inner,
                            accumulate,
                            productWorkspace.get().address(),
                            device.streamHandle());
            return;
        }
        multiplyTiles(out, a, transposeA, b, transposeB, inner, accumulate);
    }

    private void multiplyTiles(
            Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, int inner, boolean accumulate) {
        int m = out.rows();
        int n = out.columns();
        boolean isWide = m >= 128 && n >= 128;
        int tile = isWide ? 128 : 32;
        int gridX = (n + tile - 1) / tile;
        int gridY = (m + tile - 1) / tile;
        int chunks = transposeA ? chunks((long) gridX * gridY, inner, 4L * m * n) : 1;
        int chunk = Math.max(1, (inner + chunks - 1) / chunks);
        long target = chunks == 1 ? address(out) : scratch(4L * m * n * chunks);
        Extent counted = transposeA ? a.extent() : out.extent();
        kernel((isWide ? "matmulWide" : "matmulNarrow") + (transposeA ? "A" : "") + (transposeB ? "B" : ""))
                .pointer(target)
                .pointer(address(a))
                .pointer(address(b))
                .integer(m)
                .integer(n)
                .integer(inner)
                .pointer(count(counted))
                .integer(chunk)
                .flag(chunks == 1 && accumulate)
                .launch(gridX, gridY, chunks, 256, 1, 0);
        if (chunks > 1) {
            long elements = (long) m * n;
            kernel("addChunks")
                    .pointer(address(out))
                    .pointer(target)
                    .integer(chunks)
                    .wide(elements)
                    .flag(accumulate)
                    .overElements(elements);
        }
    }

    /** Into how many chunks a sum over rows is cut, so that a gradient of few tiles still fills the card; the same on every card. */
    private static int chunks(long tiles, int inner, long bytes) {
        long wanted = Math.min((264 + tiles - 1) / tiles, (inner + 511) / 512);
        return (int) Math.max(1, Math.min(wanted, MOST_CHUNK_BYTES / bytes));
    }

    @Override
    public void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        shape(
                        kernel("rmsNorm")
                                .pointer(address(out))
                                .pointer(address(rstd))
                                .pointer(address(x))
                                .pointer(address(weight))
                                .pointer(address(variant)),
                        x)
                .real(epsilon)
                .overRows(x.rows(), x.columns());
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
        // first, because dx may be dy
        sumColumns(
                address(dweight), address(x), address(dy), address(rstd), address(variant), dweight.rows(), x, 1, true);
        shape(
                        kernel("rmsNormBackward")
                                .pointer(address(dx))
                                .pointer(address(x))
                                .pointer(address(rstd))
                                .pointer(address(weight))
                                .pointer(address(variant))
                                .pointer(address(dy)),
                        x)
                .flag(accumulate)
                .overRows(x.rows(), x.columns());
    }

    @Override
    public void rope(Tensor out, Tensor x, IntTensor position, int headDim, double theta, boolean inverse) {
        shape(
                        kernel("rope")
                                .pointer(address(out))
                                .pointer(address(x))
                                .pointer(address(position))
                                .pointer(rotationTables.computeIfAbsent(
                                        new Rotation(headDim, theta), this::frequencies)),
                        x)
                .integer(headDim)
                .flag(inverse)
                .overElements(elements(x) / 2);
    }

    private long frequencies(Rotation rotation) {
        double[] frequencies = new double[rotation.headDim / 2];
        for (int i = 0; i < frequencies.length; i++) {
            frequencies[i] = StrictMath.pow(rotation.theta, -2.0 * i / rotation.headDim);
        }
        long table =
                memory.allocate(8L * frequencies.length, "rotary frequencies").address();
        transfers.writeWide(table, frequencies);
        return table;
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
        if (queries.rows() == 0) {
            return;
        }
        kernel("attention")
                .pointer(address(out))
                .pointer(address(logSumExp))
                .pointer(address(queries))
                .pointer(address(keys))
                .pointer(address(values))
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .pointer(address(ranges.entryRows()))
                .integer(queries.rows())
                .pointer(count(queries.extent()))
                .integer(shape.heads())
                .integer(shape.kvHeads())
                .integer(shape.headDim())
                .real(1 / Math.sqrt(shape.headDim()))
                .launch(queries.rows(), shape.heads(), 1, ATTENTION_TILE, 1, 4 * shape.headDim() * (1 + groups(shape)));
    }

    /** Groups of threads that share a tile's entries, as the kernels count them. */
    private static int groups(AttentionShape shape) {
        return Math.max(1, ATTENTION_TILE / shape.headDim());
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
        if (queries.rows() == 0) {
            return;
        }
        int tiles = (queries.rows() + ATTENTION_TILE - 1) / ATTENTION_TILE;
        long boundsBytes = 8L * tiles;
        long bounds = scratch(boundsBytes + 4L * queries.rows() * shape.heads());
        long outDotGradient = bounds + boundsBytes; // [rows, heads]
        double scale = 1 / Math.sqrt(shape.headDim());
        kernel("attentionQueryGradient")
                .pointer(address(dqueries))
                .pointer(outDotGradient)
                .pointer(address(queries))
                .pointer(address(keys))
                .pointer(address(values))
                .pointer(address(out))
                .pointer(address(logSumExp))
                .pointer(address(dout))
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .integer(queries.rows())
                .pointer(count(queries.extent()))
                .integer(shape.heads())
                .integer(shape.kvHeads())
                .integer(shape.headDim())
                .real(scale)
                .launch(queries.rows(), shape.heads(), 1, ATTENTION_TILE, 1, 4 * shape.headDim() * (2 + groups(shape)));
        if (keys.rows() == 0) {
            return;
        }
        kernel("rangeBounds")
                .pointer(bounds)
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .integer(queries.rows())
                .pointer(count(queries.extent()))
                .launch(tiles, 1, 1, ATTENTION_TILE, 1, 0);
        kernel("attentionKeyGradient")
                .pointer(address(dkeys))
                .pointer(address(dvalues))
                .pointer(address(queries))
                .pointer(address(keys))
                .pointer(address(values))
                .pointer(address(logSumExp))
                .pointer(outDotGradient)
                .pointer(address(dout))
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .pointer(bounds)
                .integer(queries.rows())
                .pointer(count(queries.extent()))
                .integer(keys.rows())
                .pointer(count(keys.extent()))
                .integer(shape.heads())
                .integer(shape.kvHeads())
                .integer(shape.headDim())
                .real(scale)
                .launch(
                        keys.rows(),
                        shape.kvHeads(),
                        1,
                        ATTENTION_TILE,
                        1,
                        4 * shape.headDim() * (2 + 2 * groups(shape)));
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
        kernel("causalRanges")
                .pointer(address(start))
                .pointer(address(end))
                .pointer(address(querySequence))
                .pointer(address(queryPosition))
                .integer(queries.bound())
                .pointer(count(queries))
                .pointer(address(keyOffsets))
                .pointer(address(keyPosition))
                .integer(window)
                .overElements(queries.bound());
    }

    @Override
    public void crossEntropy(Tensor out, Tensor logits, IntTensor target) {
        shape(
                        kernel("crossEntropy")
                                .pointer(address(out))
                                .pointer(address(logits))
                                .pointer(address(target)),
                        logits)
                .overRows(logits.rows(), logits.columns());
    }

    @Override
    public void crossEntropyBackward(Tensor dlogits, Tensor logits, IntTensor target, Tensor dy) {
        shape(
                        kernel("crossEntropyBackward")
                                .pointer(address(dlogits))
                                .pointer(address(logits))
                                .pointer(address(target))
                                .pointer(address(dy)),
                        logits)
                .overRows(logits.rows(), logits.columns());
    }

    // ---- tier 1: generation's entry tables

    @Override
    public void appendEntries(
            IntTensor poolRow,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent) {
        if (extent.bound() == 0) {
            return;
        }
        long visits = visitTable(tables);
        long grown = scratch(4L * extent.bound());
        kernel("appendEntries")
                .pointer(address(poolRow))
                .pointer(grown)
                .pointer(visits)
                .integer(tables.recursions())
                .integer(tables.capacity())
                .pointer(address(tables.rows()))
                .pointer(address(tables.positions()))
                .pointer(address(tables.length()))
                .pointer(address(tables.reserved()))
                .pointer(address(tables.written()))
                .pointer(address(sequence))
                .pointer(address(position))
                .pointer(address(recursion))
                .integer(extent.bound())
                .pointer(count(extent))
                .overElements(extent.bound());
        kernel("advanceEntries")
                .pointer(grown)
                .pointer(visits)
                .integer(tables.recursions())
                .pointer(address(tables.length()))
                .pointer(address(tables.written()))
                .pointer(address(sequence))
                .pointer(address(recursion))
                .integer(extent.bound())
                .pointer(count(extent))
                .overElements(extent.bound());
        if (tables.visits().stream().anyMatch(KvVisit::overlays)) {
            kernel("overlayEntries")
                    .pointer(address(poolRow))
                    .pointer(visits)
                    .integer(tables.recursions())
                    .integer(tables.capacity())
                    .pointer(address(tables.rows()))
                    .pointer(address(tables.positions()))
                    .pointer(address(tables.length()))
                    .pointer(address(sequence))
                    .pointer(address(position))
                    .pointer(address(recursion))
                    .integer(extent.bound())
                    .pointer(count(extent))
                    .overElements(extent.bound());
        }
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
        kernel("entryRanges")
                .pointer(address(start))
                .pointer(address(end))
                .pointer(visitTable(tables))
                .integer(tables.recursions())
                .integer(tables.capacity())
                .pointer(address(tables.positions()))
                .pointer(address(tables.length()))
                .pointer(address(sequence))
                .pointer(address(position))
                .pointer(address(recursion))
                .integer(extent.bound())
                .pointer(count(extent))
                .overElements(extent.bound());
    }

    /** The visits on the device, {@code [recursions, 4]}: writes, source, overlays, window. */
    private long visitTable(EntryTables tables) {
        return visitTables.computeIfAbsent(tables.visits(), this::upload);
    }

    private long upload(List<KvVisit> visits) {
        int[] table = new int[4 * visits.size()];
        for (int i = 0; i < visits.size(); i++) {
            KvVisit visit = visits.get(i);
            table[4 * i] = visit.writes() ? 1 : 0;
            table[4 * i + 1] = visit.source();
            table[4 * i + 2] = visit.overlays() ? 1 : 0;
            table[4 * i + 3] = visit.window();
        }
        device.makeCurrent();
        long address = memory.allocate(4L * table.length, "table of visits").address();
        transfers.write(address, table);
        return address;
    }

    // ---- tier 1: optimizer

    @Override
    public void adamW(
            Tensor parameter,
            Tensor gradient,
            Tensor firstMoment,
            Tensor secondMoment,
            Tensor gradientScale,
            AdamWStep step) {
        kernel("adamW")
                .pointer(address(parameter))
                .pointer(address(gradient))
                .pointer(address(firstMoment))
                .pointer(address(secondMoment))
                .pointer(address(gradientScale))
                .wide(elements(parameter))
                .real(step.learningRate())
                .real(step.beta1())
                .real(step.beta2())
                .real(step.epsilon())
                .real(step.weightDecay())
                .real(1 - Math.pow(step.beta1(), step.step()))
                .real(1 - Math.pow(step.beta2(), step.step()))
                .real(1 - step.beta1())
                .real(1 - step.beta2())
                .overElements(elements(parameter));
    }

    // ---- tier 2

    @Override
    public void swiGlu(Tensor out, Tensor gate, Tensor up) {
        shape(kernel("swiGlu").pointer(address(out)).pointer(address(gate)).pointer(address(up)), out)
                .overElements(elements(out));
    }

    @Override
    public void swiGluBackward(Tensor dgate, Tensor dup, Tensor gate, Tensor up, Tensor dy) {
        shape(
                        kernel("swiGluBackward")
                                .pointer(address(dgate))
                                .pointer(address(dup))
                                .pointer(address(gate))
                                .pointer(address(up))
                                .pointer(address(dy)),
                        dgate)
                .overElements(elements(dgate));
    }

    @Override
    public void addToRows(Tensor out, Tensor base, IntTensor index, Tensor x, Optional<Tensor> gate) {
        if (address(out) != address(base)) {
            copy(out, base);
        }
        shape(
                        kernel("addToRows")
                                .pointer(address(out))
                                .pointer(address(index))
                                .pointer(address(x))
                                .pointer(gate.isEmpty() ? 0 : address(gate.get())),
                        x)
                .overElements(elements(x));
    }

    @Override
    public void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        kernel("clipFactor")
                .pointer(address(out))
                .pointer(address(sumOfSquares))
                .real(maxNorm)
                .launch(1, 1, 1, 1, 1, 0);
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        device.makeCurrent();
        device.synchronize();
        closed = true;
        cublas.ifPresent(CublasLt::close);
        memory.close();
        transfers.close();
        kernels.close();
        device.close();
    }
}
