package com.example.earlyexit;

import io.mor.api.routing.Router;
import io.mor.api.routing.RouterContext;
import io.mor.api.routing.Routing;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import jakarta.inject.Inject;
import java.util.Map;
import java.util.Optional;

/**
 * Early exit by convergence: a token goes on as long as the last recursion still moved it, {@code |now - before| >= threshold * |now|}. Everyone
 * runs recursion 1. The rule looks at the token alone, so it needs no causal selector.
 */
public final class ConvergenceRouter implements Router {

    private static final String BEFORE = "before";

    private final double threshold;

    /** Called by mor with the config record that the plugin names. */
    @Inject
    public ConvergenceRouter(ConvergenceConfig config) {
        this.threshold = config.threshold();
    }

    @Override
    public RoutingState begin(RouterContext context, TokenBatch batch, Tensor rows) {
        return new RoutingState(Map.of(BEFORE, context.ops().detach(rows)));
    }

    @Override
    public Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state) {
        Ops ops = context.ops();
        Tensor recursion = ops.toColumn(batch.recursion(), batch.extent()); // [rows, 1], from 1
        Tensor goesOn; // [rows, 1]: 1 for the rows that go through the block
        if (context.fixedDepth().isPresent()) {
            goesOn =
                    ops.compare(recursion, Comparison.LESS, context.fixedDepth().getAsInt() + 1);
        } else {
            Tensor moved = ops.subtract(rows, state.get(BEFORE));
            Tensor enough = ops.scale(ops.rowDot(rows, rows), threshold * threshold);
            goesOn = ops.add(
                    ops.compare(recursion, Comparison.EQUAL, 1),
                    ops.compareElements(ops.rowDot(moved, moved), Comparison.AT_LEAST, enough));
        }
        Ops.Rows selected = ops.compact(goesOn, Optional.empty());
        return new Routing(Optional.of(selected), new RoutingState(Map.of(BEFORE, ops.detach(rows))), Optional.empty());
    }

    /** As in a plain recursive model: the block's output takes the place of its input. */
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

    @Override
    public boolean updatesByGatedAddition() {
        return false;
    }
}
