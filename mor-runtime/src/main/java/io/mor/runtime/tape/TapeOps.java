package io.mor.runtime.tape;

import static io.mor.runtime.tape.Shapes.checkIndex;
import static io.mor.runtime.tape.Shapes.checkRow;
import static io.mor.runtime.tape.Shapes.checkSame;

import io.mor.api.backend.Backend;
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
import io.mor.runtime.memory.Region;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * The operations over a backend, with a tape: each records how gradients flow back through it, where one of its inputs wants any. With no
 * parameter gradients given nothing is recorded.
 *
 * <p>Thread safety: one thread, one call.
 */
public final class TapeOps implements Ops {

    private final Backend backend;
    private final Region region;
    private final boolean training;
    private final Tape tape;
    private final ElementwiseOps elementwise;
    private final ReductionOps reductions;
    private final RowOps placed;
    private final LayerOps layers;
    private final LossOps losses;

    /**
     * Operations of one call.
     *
     * @param region where results live
     * @param training whether dropout applies
     * @param parameterGradients for every parameter that wants a gradient, the tensor it is added to
     */
    public TapeOps(Region region, boolean training, Map<Tensor, Tensor> parameterGradients) {
        this(region, training, parameterGradients, Recomputation.NONE, false);
    }

    /**
     * As above.
     *
     * @param recomputation what is calculated again for gradients instead of kept; it changes no bit
     * @param gradientsAreEmpty whether parameters' gradients hold nothing yet, whatever their memory holds: then {@link #backward} sets them
     */
    public TapeOps(
            Region region,
            boolean training,
            Map<Tensor, Tensor> parameterGradients,
            Recomputation recomputation,
            boolean gradientsAreEmpty) {
        this.backend = region.backend();
        this.region = region;
        this.training = training;
        this.tape = new Tape(region, parameterGradients, recomputation, gradientsAreEmpty);
        this.elementwise = new ElementwiseOps(tape);
        this.reductions = new ReductionOps(tape);
        this.placed = new RowOps(tape);
        this.layers = new LayerOps(tape);
        this.losses = new LossOps(tape);
    }

    /** The backend below. */
    public Backend backend() {
        return backend;
    }

    /** Where results live. */
    public Region region() {
        return region;
    }

    /**
     * Runs the tape backwards from a scalar, adding to the parameters' gradients or setting them if they were empty. Can be called once.
     *
     * @param loss {@code [1, 1]}
     * @param scale the gradient of the loss itself
     */
    public void backward(Tensor loss, double scale) {
        tape.gradients.contribute(loss, (gradient, accumulate) -> backend.fill(gradient, scale));
        tape.runBackward();
    }

    /** The gradient that has arrived at a tensor, for tests of operations. */
    public Optional<Tensor> gradientOf(Tensor tensor) {
        return tape.gradients.of(tensor);
    }

    @Override
    public Tensor linear(Tensor x, Tensor weight) {
        return layers.linear(x, weight);
    }

    @Override
    public Tensor add(Tensor a, Tensor b) {
        return elementwise.add(a, b);
    }

    @Override
    public Tensor subtract(Tensor a, Tensor b) {
        return elementwise.subtract(a, b);
    }

    @Override
    public Tensor multiply(Tensor a, Tensor b) {
        return elementwise.multiply(a, b);
    }

    @Override
    public Tensor affine(Tensor x, double scale, double shift) {
        return elementwise.affine(x, scale, shift);
    }

    @Override
    public Tensor apply(Unary function, Tensor x) {
        return elementwise.apply(function, x);
    }

    @Override
    public Tensor swiGlu(Tensor gate, Tensor up) {
        return elementwise.swiGlu(gate, up);
    }

    @Override
    public Tensor scaleRows(Tensor x, Tensor factors) {
        return elementwise.scaleRows(x, factors);
    }

    @Override
    public Tensor addRow(Tensor x, Tensor row) {
        return elementwise.addRow(x, row);
    }

    @Override
    public Tensor multiplyRow(Tensor x, Tensor row) {
        return elementwise.multiplyRow(x, row);
    }

    @Override
    public Tensor dropout(Tensor x, double p, RandomKey key) {
        if (!training || p == 0) {
            return x;
        }
        Tensor numbers = tape.full(x.extent(), x.columns());
        backend.uniform(numbers, key);
        Tensor mask = affine(compare(numbers, Comparison.AT_LEAST, p), 1 / (1 - p), 0);
        return multiply(x, mask);
    }

    @Override
    public Tensor rowSum(Tensor x) {
        return reductions.rowSum(x);
    }

    @Override
    public Tensor rowLogSumExp(Tensor x) {
        return reductions.rowLogSumExp(x);
    }

    @Override
    public Tensor rowDot(Tensor a, Tensor b) {
        return reductions.rowDot(a, b);
    }

    @Override
    public Tensor softmax(Tensor x) {
        return reductions.softmax(x);
    }

    @Override
    public Tensor columnSum(Tensor x) {
        return reductions.columnSum(x);
    }

    @Override
    public Tensor columnMean(Tensor x) {
        return reductions.columnMean(x);
    }

    @Override
    public Tensor gatherRows(Tensor x, IntTensor index, Extent extent) {
        return placed.gatherRows(x, index, extent);
    }

    @Override
    public Tensor gatherRows(Tensor x, Rows rows) {
        return placed.gatherRows(x, rows);
    }

    @Override
    public Tensor replaceRows(Tensor base, IntTensor index, Tensor x) {
        return placed.replaceRows(base, index, x);
    }

    @Override
    public Tensor addToRows(Tensor base, IntTensor index, Tensor x, Optional<Tensor> gate) {
        return placed.addToRows(base, index, x, gate);
    }

    @Override
    public Tensor pickColumn(Tensor x, IntTensor column) {
        return placed.pickColumn(x, column);
    }

    @Override
    public Tensor sliceRows(Tensor x, int first, Extent extent) {
        return placed.sliceRows(x, first, extent);
    }

    @Override
    public Tensor concatRows(List<Tensor> parts) {
        return placed.concatRows(parts);
    }

    @Override
    public Tensor rmsNorm(Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        return layers.rmsNorm(x, weight, variant, epsilon);
    }

    @Override
    public List<Tensor> normedLinears(
            Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, List<Projection> projections) {
        return layers.normedLinears(x, weight, variant, epsilon, projections);
    }

    @Override
    public Tensor addLinear(Tensor base, Tensor x, Tensor weight) {
        return layers.addLinear(base, x, weight);
    }

    @Override
    public Tensor addFeedForward(
            Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, FeedForward weights) {
        return layers.addFeedForward(x, weight, variant, epsilon, weights);
    }

    @Override
    public Tensor recomputable(Tensor x, UnaryOperator<Tensor> layer) {
        return tape.recomputable(x, layer);
    }

    @Override
    public Tensor rope(Tensor x, IntTensor position, int headDim, double theta) {
        return layers.rope(x, position, headDim, theta);
    }

    @Override
    public Tensor attention(Tensor queries, Tensor keys, Tensor values, AttentionRanges ranges, AttentionShape shape) {
        return layers.attention(queries, keys, values, ranges, shape);
    }

    @Override
    public Tensor crossEntropy(Tensor logits, IntTensor target) {
        return losses.crossEntropy(logits, target);
    }

    /** Per-row losses a chunk of rows at a time; for gradients the logits are computed again. */
    @Override
    public Tensor headCrossEntropy(Tensor rows, Tensor head, IntTensor target) {
        return losses.headCrossEntropy(rows, head, target);
    }

    /**
     * The mean loss of a language model, {@code [1, 1]}. Its gradient is taken on the way forward, chunk by chunk, as if {@code scale} times it
     * were the only way in which it enters the total loss: so logits are computed once and never held whole.
     *
     * @param rows exact extent
     */
    public Tensor meanHeadCrossEntropy(Tensor rows, Tensor head, IntTensor target, double scale) {
        return columnMean(losses.headCrossEntropyAtOnce(rows, head, target, scale));
    }

    @Override
    public Tensor detach(Tensor x) {
        return backend.view(x, 0, x.extent(), x.columns());
    }

    @Override
    public Tensor compare(Tensor x, Comparison comparison, Tensor row) {
        checkRow("compare", x, row);
        Tensor out = tape.like(x);
        backend.compare(out, x, comparison, row);
        return out;
    }

    @Override
    public Tensor compare(Tensor x, Comparison comparison, double constant) {
        return compare(x, comparison, constant(Extent.exact(1), x.columns(), constant));
    }

    @Override
    public Tensor compareElements(Tensor a, Comparison comparison, Tensor b) {
        checkSame("compareElements", a, b);
        Tensor out = tape.like(a);
        backend.compareElements(out, a, comparison, b);
        return out;
    }

    @Override
    public IntTensor argMax(Tensor x) {
        IntTensor out = region.allocateInts(x.rows());
        backend.argMax(out, x);
        return out;
    }

    @Override
    public Tensor toColumn(IntTensor values, Extent extent) {
        checkIndex("toColumn", values, extent.bound());
        Tensor out = tape.result(extent, 1);
        backend.toColumn(out, values);
        return out;
    }

    @Override
    public IntTensor gatherInts(IntTensor table, IntTensor index, Extent extent) {
        checkIndex("gatherInts", index, extent.bound());
        IntTensor out = region.allocateInts(extent.bound());
        backend.gatherInts(out, table, index, extent);
        return out;
    }

    @Override
    public IntTensor ints(int... values) {
        return region.ints(values);
    }

    @Override
    public Tensor constant(Extent extent, int columns, double value) {
        Tensor out = tape.result(extent, columns);
        backend.fill(out, value);
        return out;
    }

    @Override
    public Tensor uniformRows(RandomKey key, IntTensor high, IntTensor low, Extent extent) {
        Tensor out = tape.result(extent, 1);
        backend.uniformRows(out, key, high, low);
        return out;
    }

    @Override
    public Tensor topKMask(Tensor scores, IntTensor offsets, IntTensor k) {
        Tensor out = tape.like(scores);
        backend.topKMask(out, scores, offsets, k);
        return out;
    }

    @Override
    public Tensor reduceGroups(Reduction reduction, Tensor x, IntTensor offsets) {
        Tensor out = tape.result(Extent.exact(offsets.length() - 1), 1);
        backend.reduceGroups(out, reduction, x, offsets);
        return out;
    }

    @Override
    public Rows compact(Tensor mask, Optional<Integer> exact) {
        IntTensor index = region.allocateInts(mask.rows());
        IntTensor count = region.allocateInts(1);
        backend.compact(index, count, mask);
        if (exact.isPresent()) {
            return new Rows(backend.view(index, 0, exact.get()), Extent.exact(exact.get()));
        }
        return new Rows(index, Extent.counted(mask.rows(), count));
    }
}
