package io.mor.runtime.model;

import io.mor.api.routing.Router;
import io.mor.api.routing.RouterContext;
import io.mor.api.routing.Routing;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Tensor;
import java.util.Optional;

/** No routing: every row goes through every recursion, {@code H <- B(H)}. What makes a plain recursive model. */
final class AllRowsRouter implements Router {

    @Override
    public Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state) {
        return new Routing(Optional.empty(), RoutingState.NONE, Optional.empty());
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

    @Override
    public boolean updatesByGatedAddition() {
        return false;
    }

    @Override
    public double expectedShare(int recursion, int recursions) {
        return 1;
    }
}
