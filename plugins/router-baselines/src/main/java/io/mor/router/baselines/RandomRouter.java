package io.mor.router.baselines;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.RecursionSegment;
import io.mor.api.routing.Router;
import io.mor.api.routing.RouterContext;
import io.mor.api.routing.Routing;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.Selection;
import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import jakarta.inject.Inject;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Random routing (spec 2.7, the published {@code rand_router}): hierarchical selection with expert-choice's capacities, on scores that are
 * drawn instead of learnt, and a constant gate.
 *
 * <p>Over whole sequences the scores are uniform numbers of (micro-batch, sequence, position), fresh for every recursion, and the best {@code
 * max(1, floor(capacity * length))} of each sequence go on. In {@link Phase#CAUSAL} calls a candidate goes on with probability {@code capacity /
 * previous capacity}, decided by (seed, position, recursion) alone, so a prompt taken at once and token by token gives the same; recursion 1
 * takes all, and a depth fixed by the selector is kept to. It needs no selector. Immutable, safe for concurrent calls.
 */
public final class RandomRouter implements Router {

    private final List<Double> capacity;
    private final double alpha;

    /**
     * A router for a model.
     *
     * @throws IllegalArgumentException if there is not one capacity for every recursion
     */
    @Inject
    public RandomRouter(RandomRouterConfig config, ModelShape shape) {
        int recursions = shape.recursions();
        if (!config.capacity().isEmpty() && config.capacity().size() != recursions) {
            throw new IllegalArgumentException("router.capacity: " + config.capacity() + " has "
                    + config.capacity().size() + " entries, but the model has " + recursions
                    + " recursions; give one for each, or none");
        }
        this.capacity = config.capacity().isEmpty()
                ? IntStream.rangeClosed(1, recursions)
                        .mapToObj(r -> (recursions - r + 1.0) / recursions)
                        .toList()
                : config.capacity();
        this.alpha = config.alpha();
    }

    @Override
    public double expectedShare(int recursion, int recursions) {
        return capacity.get(recursion - 1);
    }

    @Override
    public Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state) {
        Ops ops = context.ops();
        Optional<Ops.Rows> selected = context.phase() == Phase.CAUSAL ? drawn(context, batch) : best(context, batch);
        return new Routing(selected, RoutingState.NONE, Optional.of(ops.constant(batch.extent(), 1, alpha)));
    }

    /** Over whole sequences: the best of random scores; empty for all. */
    private Optional<Ops.Rows> best(RouterContext context, TokenBatch batch) {
        Ops ops = context.ops();
        int recursion = batch.segments().getFirst().recursion();
        Tensor scores = ops.uniformRows(
                context.random("router.random." + recursion), batch.sequence(), batch.position(), batch.extent());
        Selection selection = context.select(new SelectionRequest(
                batch, recursion, scores, Optional.empty(), capacity(recursion), capacity(recursion - 1)));
        boolean all = batch.extent().isExact()
                && selection.exact().isPresent()
                && selection.exact().get() == batch.rows();
        return all ? Optional.empty() : Optional.of(ops.compact(selection.mask(), selection.exact()));
    }

    /** Causally: every row by itself; empty for all. */
    private Optional<Ops.Rows> drawn(RouterContext context, TokenBatch batch) {
        if (batch.segments().stream().allMatch(segment -> probability(context, segment.recursion()) == 1)) {
            return Optional.empty();
        }
        Ops ops = context.ops();
        List<Tensor> probabilities = new ArrayList<>();
        for (RecursionSegment segment : batch.segments()) {
            probabilities.add(ops.constant(segment.extent(), 1, probability(context, segment.recursion())));
        }
        RandomKey ofMicroBatch = context.random("router.random");
        RandomKey ofRun = new RandomKey(ofMicroBatch.seed(), ofMicroBatch.stream(), 0);
        Tensor numbers = ops.uniformRows(ofRun, batch.position(), batch.recursion(), batch.extent());
        return Optional.of(ops.compact(
                ops.compareElements(numbers, Comparison.LESS, ops.concatRows(probabilities)), Optional.empty()));
    }

    private double probability(RouterContext context, int recursion) {
        if (context.fixedDepth().isPresent()) {
            return recursion <= context.fixedDepth().getAsInt() ? 1 : 0;
        }
        return recursion == 1 ? 1 : capacity(recursion) / capacity(recursion - 1);
    }

    private double capacity(int recursion) {
        return recursion == 0 ? 1 : capacity.get(recursion - 1);
    }
}
