package io.mor.backend.reference;

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
import java.util.Optional;

/**
 * Every kernel as a plain loop over doubles, sums in ascending order. What {@link Backend} says in a line, these loops define. Fresh memory
 * holds NaN ({@link Integer#MIN_VALUE} in vectors of integers), so that reading what nobody wrote shows. Tier 2 is left to its defaults.
 *
 * <p>Errors: memory that was released or belongs to another backend, and views, rows, columns and counts out of bounds throw and say
 * which. Thread safety: one thread at a time.
 */
public final class ReferenceBackend implements Backend {

    private final Memory memory = new Memory();
    private final Transfers transfers = new Transfers(memory);
    private final ElementwiseKernels elementwise = new ElementwiseKernels(memory);
    private final RowKernels rowWise = new RowKernels(memory);
    private final GatherKernels gathers = new GatherKernels(memory);
    private final SelectionKernels selections = new SelectionKernels(memory);
    private final LayerKernels layers = new LayerKernels(memory);
    private final EntryKernels entries = new EntryKernels(memory);
    private final OptimizerKernels optimizer = new OptimizerKernels(memory);

    /** A backend that holds nothing yet. */
    @Inject
    public ReferenceBackend() {}

    // ---- identity

    @Override
    public String description() {
        return "reference: plain loops in double precision, 1 thread";
    }

    @Override
    public Precision precision() {
        return Precision.FLOAT64;
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
        return memory.view(base, firstRow, extent, columns);
    }

    @Override
    public IntTensor view(IntTensor base, int first, int length) {
        return memory.view(base, first, length);
    }

    @Override
    public void release(Tensor tensor) {
        memory.release(tensor);
    }

    @Override
    public void release(IntTensor tensor) {
        memory.release(tensor);
    }

    @Override
    public void close() {
        memory.close();
    }

    // ---- transfers

    @Override
    public void write(Tensor tensor, float[] values) {
        transfers.write(tensor, values);
    }

    @Override
    public void write(Tensor tensor, double[] values) {
        transfers.write(tensor, values);
    }

    @Override
    public void write(IntTensor tensor, int[] values) {
        transfers.write(tensor, values);
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
        rowWise.columnSum(out, x, scale, accumulate);
    }

    @Override
    public void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate) {
        rowWise.columnDot(out, a, b, scale, accumulate);
    }

    @Override
    public void reciprocalCount(Tensor out, Extent extent) {
        rowWise.reciprocalCount(out, extent);
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
    public void toColumn(Tensor out, IntTensor values) {
        gathers.toColumn(out, values);
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
        layers.matmul(out, a, transposeA, b, transposeB, accumulate);
    }

    @Override
    public void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        rowWise.rmsNorm(out, rstd, x, weight, variant, epsilon);
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
        rowWise.rmsNormBackward(dx, dweight, x, rstd, weight, variant, dy, accumulate);
    }

    @Override
    public void rope(Tensor out, Tensor x, IntTensor position, int headDim, double theta, boolean inverse) {
        layers.rope(out, x, position, headDim, theta, inverse);
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
        layers.attention(out, logSumExp, queries, keys, values, ranges, shape);
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
        layers.attentionBackward(dqueries, dkeys, dvalues, queries, keys, values, out, logSumExp, dout, ranges, shape);
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
        layers.causalRanges(start, end, querySequence, queryPosition, queries, keyOffsets, keyPosition, window);
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
    public void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        optimizer.clipFactor(out, sumOfSquares, maxNorm);
    }
}
