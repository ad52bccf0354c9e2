package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.Selector;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Reduction;
import io.mor.api.tensor.StateBuffer;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import jakarta.inject.Inject;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * A row goes on if its score is above the recursion's cut-off, which training tracks (Expert Threshold; spec 2.7 and 9.3); recursion 1 takes
 * all.
 *
 * <p>The cut-off of a micro-batch is the mean over its sequences of the middle between the smallest selected and the largest unselected score
 * (the smallest selected, where none is left out). The buffer {@code selector.cutoffs [1, recursions]} is the exponential moving average of
 * that, corrected for its start, so that the first observation counts fully; {@code selector.observed [1, recursions]} is the weight that
 * observations have had, {@code 1 - decay^n}. Before any observation the cut-offs are 0.
 *
 * <p>Immutable; observing changes the buffers.
 */
public final class EmaCutoffSelector implements Selector {

    /** Larger than any score, small enough for every precision. */
    private static final double FAR = 1e30;

    private final double decay;
    private final int recursions;
    private final StateBuffer cutoffs;
    private final StateBuffer observed;

    /** A selector for a model. */
    @Inject
    public EmaCutoffSelector(EmaCutoffConfig config, ModelShape shape) {
        this.decay = config.decay();
        this.recursions = shape.recursions();
        this.cutoffs = new StateBuffer("selector.cutoffs", 1, recursions, 0);
        this.observed = new StateBuffer("selector.observed", 1, recursions, 0);
    }

    @Override
    public List<StateBuffer> buffers() {
        return List.of(cutoffs, observed);
    }

    @Override
    public Optional<StateBuffer> cutoffs() {
        return Optional.of(cutoffs);
    }

    @Override
    public Tensor select(CallContext context, SelectionRequest request) {
        Ops ops = context.ops();
        if (request.recursion() == 1) {
            return ops.constant(request.batch().extent(), 1, 1);
        }
        return ops.compare(request.scores(), Comparison.GREATER, element(context, cutoffs, request.recursion()));
    }

    @Override
    public void observe(CallContext context, SelectionRequest request, Tensor selected) {
        if (request.recursion() == 1) {
            return;
        }
        Ops ops = context.ops();
        Tensor boundaries = boundaries(ops, request, selected);
        Tensor seen = ops.constant(boundaries.extent(), 1, 1);
        Tensor any = ops.compare(ops.columnSum(seen), Comparison.GREATER, 0); // 0 if the micro-batch holds no candidate
        Tensor cutoff = element(context, cutoffs, request.recursion());
        Tensor weight = element(context, observed, request.recursion());
        Tensor newWeight = ops.affine(weight, decay, 1 - decay);
        Tensor gain = ops.multiply(any, ops.scale(ops.apply(Unary.RECIPROCAL, newWeight), 1 - decay));
        addTo(
                context,
                cutoffs,
                request.recursion(),
                ops.multiply(gain, ops.subtract(ops.columnMean(boundaries), cutoff)));
        addTo(context, observed, request.recursion(), ops.multiply(any, ops.subtract(newWeight, weight)));
    }

    /** Between selected and unselected scores, for every sequence that has candidates: {@code [counted, 1]}. */
    private static Tensor boundaries(Ops ops, SelectionRequest request, Tensor selected) {
        Tensor scores = ops.detach(request.scores());
        IntTensor offsets = request.batch().groupOffsets();
        Tensor smallestSelected = ops.reduceGroups(
                Reduction.MINIMUM, ops.add(scores, ops.affine(selected, -FAR, FAR)), offsets); // [groups, 1]
        Tensor largestOther =
                ops.reduceGroups(Reduction.MAXIMUM, ops.subtract(scores, ops.scale(selected, FAR)), offsets);
        // A group without candidates holds infinities, which no 0 multiplies away: leave its row out.
        Ops.Rows present = ops.compact(ops.compare(smallestSelected, Comparison.LESS, FAR / 2), Optional.empty());
        Tensor above = ops.gatherRows(smallestSelected, present.index(), present.extent());
        Tensor below = ops.gatherRows(largestOther, present.index(), present.extent());
        Tensor half = ops.scale(ops.compare(below, Comparison.GREATER, -FAR / 2), 0.5); // 0 where all were selected
        return ops.subtract(above, ops.multiply(half, ops.subtract(above, below)));
    }

    /** The element of a buffer for a recursion: {@code [1, 1]}. */
    private static Tensor element(CallContext context, StateBuffer buffer, int recursion) {
        return context.ops().pickColumn(context.value(buffer), context.ops().ints(recursion - 1));
    }

    private void addTo(CallContext context, StateBuffer buffer, int recursion, Tensor amount) {
        Ops ops = context.ops();
        Tensor index =
                ops.toColumn(ops.ints(IntStream.rangeClosed(1, recursions).toArray()), Extent.exact(recursions));
        Tensor oneHot = ops.compare(index, Comparison.EQUAL, recursion); // [recursions, 1]
        context.assign(buffer, ops.add(context.value(buffer), ops.linear(amount, oneHot)));
    }
}
