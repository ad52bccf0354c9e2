package io.mor.backend.cpu;

import io.mor.api.backend.AdamWStep;
import io.mor.api.backend.Backend;
import io.mor.api.backend.EntryTables;
import io.mor.api.backend.Precision;
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
import java.util.Objects;
import java.util.Optional;

/**
 * Single precision on the processor's vector units (see {@link io.mor.api.backend.Backend} for the kernels). All results are the same bits for
 * any number of threads, before and after the just-in-time compiler has done its work; they differ between vector widths.
 *
 * <p>Functions with a polynomial (exp, sigmoid, SiLU, tanh, erf) are within a few units in the last place, and 0 below the smallest normal
 * number. Memory of released tensors is used again.
 *
 * <p>Errors: memory that was released or belongs to another backend, counts and views out of bounds throw and say which. Thread safety: one
 * thread at a time; the backend's own threads run while a kernel does, and end with {@link #close}.
 */
public final class CpuBackend implements Backend {

    private final Memory memory = new Memory();
    private final Workers workers;
    private final Transfers transfers;
    private final ElementwiseKernels elementwise;
    private final RowKernels rowWise;
    private final ColumnKernels columnWise;
    private final NormKernels norms;
    private final GatherKernels gathers;
    private final SelectionKernels selections;
    private final AttentionKernels attentions;
    private final ProductKernels products;
    private final EntryKernels entries;
    private final OptimizerKernels optimizer;
    private boolean closed;

    /** A backend with the threads that {@code config} asks for; they run until {@link #close}. */
    @Inject
    public CpuBackend(CpuConfig config) {
        Objects.requireNonNull(config, "config is null");
        VectorCheck.nanosPerElement();
        workers = new Workers(config.resolvedThreads());
        transfers = new Transfers(memory, workers);
        elementwise = new ElementwiseKernels(memory, workers);
        rowWise = new RowKernels(memory, workers, elementwise);
        columnWise = new ColumnKernels(memory, workers);
        norms = new NormKernels(memory, workers, columnWise);
        gathers = new GatherKernels(memory, workers, elementwise);
        selections = new SelectionKernels(memory, workers);
        attentions = new AttentionKernels(memory, workers);
        products = new ProductKernels(memory, workers);
        entries = new EntryKernels(memory, workers);
        optimizer = new OptimizerKernels(memory, workers);
    }

    // ---- identity

    @Override
    public String description() {
        return "cpu: single precision, " + Vectors.SPECIES.vectorBitSize() + "-bit vectors ("
                + System.getProperty("os.arch") + "), " + workers.threads()
                + (workers.threads() == 1 ? " thread" : " threads");
    }

    @Override
    public Precision precision() {
        return Precision.FLOAT32;
    }

    // ---- memory

    @Override
    public Tensor allocate(int rows, int columns) {
        return memory.allocate(rows, columns);
    }

    @Override
    public IntTensor allocateInts(int length) {
        return memory.allocateInts(length);
    }

    @Override
    public Tensor view(Tensor base, int firstRow, Extent extent, int columns) {
        return memory.view(memory.of(base), firstRow, extent, columns);
    }

    @Override
    public IntTensor view(IntTensor base, int first, int length) {
        return memory.view(memory.of(base), first, length);
    }

    @Override
    public void release(Tensor tensor) {
        memory.release(memory.of(tensor));
    }

    @Override
    public void release(IntTensor tensor) {
        memory.release(memory.of(tensor));
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            workers.close();
            memory.close();
        }
    }

    // ---- transfers

    @Override
    public void write(Tensor tensor, float[] source) {
        transfers.write(tensor, source);
    }

    @Override
    public void write(Tensor tensor, double[] source) {
        transfers.write(tensor, source);
    }

    @Override
    public void write(IntTensor tensor, int[] source) {
        transfers.write(tensor, source);
    }

    @Override
    public float[] readFloats(Tensor tensor) {
        return transfers.readFloats(tensor);
    }

    @Override
    public double[] readDoubles(Tensor tensor) {
        return transfers.readDoubles(tensor);
    }

    @Override
    public int[] readInts(IntTensor tensor) {
        return transfers.readInts(tensor);
    }

    // ---- tier 1: element-wise

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

    // ---- tier 1: rows and columns

    @Override
    public void scaleRows(Tensor out, Tensor x, Tensor factors, boolean accumulate) {
        rowWise.scaleRows(out, x, factors, accumulate);
    }

    @Override
    public void addRow(Tensor out, Tensor x, Tensor row) {
        rowWise.addRow(out, x, row);
    }

    @Override
    public void multiplyRow(Tensor out, Tensor x, Tensor row, boolean accumulate) {
        rowWise.multiplyRow(out, x, row, accumulate);
    }

    @Override
    public void broadcastColumn(Tensor out, Tensor column, boolean accumulate) {
        rowWise.broadcastColumn(out, column, accumulate);
    }

    @Override
    public void broadcastRow(Tensor out, Tensor row, double scale, boolean accumulate) {
        rowWise.broadcastRow(out, row, scale, accumulate);
    }

    @Override
    public void rowSum(Tensor out, Tensor x, boolean accumulate) {
        rowWise.rowSum(out, x, accumulate);
    }

    @Override
    public void rowDot(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        rowWise.rowDot(out, a, b, accumulate);
    }

    @Override
    public void rowLogSumExp(Tensor out, Tensor x) {
        rowWise.rowLogSumExp(out, x);
    }

    @Override
    public void columnSum(Tensor out, Tensor x, double scale, boolean accumulate) {
        columnWise.columnSum(out, x, scale, accumulate);
    }

    @Override
    public void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate) {
        columnWise.columnDot(out, a, b, scale, accumulate);
    }

    @Override
    public void reciprocalCount(Tensor out, Extent extent) {
        columnWise.reciprocalCount(out, extent);
    }

    @Override
    public void sumOfSquares(Tensor out, Tensor x, boolean accumulate) {
        optimizer.sumOfSquares(out, x, accumulate);
    }

    @Override
    public void softmax(Tensor out, Tensor x) {
        rowWise.softmax(out, x);
    }

    @Override
    public void softmaxBackward(Tensor dx, Tensor y, Tensor dy, boolean accumulate) {
        rowWise.softmaxBackward(dx, y, dy, accumulate);
    }

    @Override
    public void argMax(IntTensor out, Tensor x) {
        rowWise.argMax(out, x);
    }

    // ---- tier 1: gather and scatter

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
    public void toColumn(Tensor out, IntTensor source) {
        gathers.toColumn(out, source);
    }

    // ---- tier 1: selection

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
        selections.uniformRows(out, key, high, low);
    }

    @Override
    public void uniform(Tensor out, RandomKey key) {
        selections.uniform(out, key);
    }

    // ---- tier 1: layers

    @Override
    public void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
        products.matmul(out, a, transposeA, b, transposeB, accumulate);
    }

    @Override
    public void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        norms.rmsNorm(out, rstd, x, weight, variant, epsilon);
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
        norms.rmsNormBackward(dx, dweight, x, rstd, weight, variant, dy, accumulate);
    }

    @Override
    public void rope(Tensor out, Tensor x, IntTensor position, int headDim, double theta, boolean inverse) {
        attentions.rope(out, x, position, headDim, theta, inverse);
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
        attentions.attention(out, logSumExp, queries, keys, values, ranges, shape);
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
        attentions.attentionBackward(
                dqueries, dkeys, dvalues, queries, keys, values, out, logSumExp, dout, ranges, shape);
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
        attentions.causalRanges(start, end, querySequence, queryPosition, queries, keyOffsets, keyPosition, window);
    }

    @Override
    public void crossEntropy(Tensor out, Tensor logits, IntTensor target) {
        rowWise.crossEntropy(out, logits, target);
    }

    @Override
    public void crossEntropyBackward(Tensor dlogits, Tensor logits, IntTensor target, Tensor dy) {
        rowWise.crossEntropyBackward(dlogits, logits, target, dy);
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

    // ---- tier 1: optimizer

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

    // ---- tier 2

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
    public void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        optimizer.clipFactor(out, sumOfSquares, maxNorm);
    }

    // ---- loops
}
