package io.mor.router.baselines;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.RecursionSegment;
import io.mor.api.routing.Router;
import io.mor.api.routing.RouterContext;
import io.mor.api.routing.Routing;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import jakarta.inject.Inject;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Every token runs the same number of recursions, {@code H <- B(H)}: a plain recursive model, cut off at a depth. A depth fixed by the
 * selector goes before the configured one. Immutable, safe for concurrent calls.
 */
public final class FixedDepthRouter implements Router {

    private final int depth;

    /**
     * A router for a model.
     *
     * @throws IllegalArgumentException if the model has fewer recursions than asked for
     */
    @Inject
    public FixedDepthRouter(FixedDepthRouterConfig config, ModelShape shape) {
        if (config.depth() > shape.recursions()) {
            throw new IllegalArgumentException("router.depth: " + config.depth() + " is more than the model's "
                    + shape.recursions() + " recursions");
        }
        this.depth = config.depth() == 0 ? shape.recursions() : config.depth();
    }

    @Override
    public double expectedShare(int recursion, int recursions) {
        return recursion <= depth ? 1 : 0;
    }

    @Override
    public boolean updatesByGatedAddition() {
        return false;
    }

    @Override
    public Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state) {
        Ops ops = context.ops();
        int limit = context.fixedDepth().orElse(depth);
        if (batch.segments().stream().allMatch(segment -> segment.recursion() <= limit)) {
            return new Routing(Optional.empty(), RoutingState.NONE, Optional.empty());
        }
        List<Tensor> masks = new ArrayList<>();
        int selected = 0;
        for (RecursionSegment segment : batch.segments()) {
            boolean goesOn = segment.recursion() <= limit;
            masks.add(ops.constant(segment.extent(), 1, goesOn ? 1 : 0));
            selected += goesOn
                    ? segment.extent().bound()
                    : 0; // exact: only a batch of several recursions, with exact extents, gets here with any
        }
        return new Routing(
                Optional.of(ops.compact(ops.concatRows(masks), Optional.of(selected))),
                RoutingState.NONE,
                Optional.empty());
    }

    @Override
    public Tensor update(
            RouterContext context,
            TokenBatch batch,
            Tensor previous,
            Tensor output,
            RoutingState state,
            Optional<Tensor> gate) {
        return output;
    }
}
