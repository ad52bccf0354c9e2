package io.mor.it;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.routing.RouterContext;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.Optional;
import java.util.stream.IntStream;

/** Every Nr positions have the depths Nr, Nr - 1, ..., 1: a perfectly balanced router with a perfect position bias. */
record PositionRouter(ModelShape shape) implements Router {

    @Override
    public io.mor.api.routing.Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state) {
        Ops ops = context.ops();
        int recursions = shape.recursions();
        int[] depths = IntStream.range(0, shape.context())
                .map(position -> recursions - position % recursions)
                .toArray();
        Tensor depth = ops.toColumn(ops.gatherInts(ops.ints(depths), batch.position(), batch.extent()), batch.extent());
        Tensor recursion = ops.toColumn(batch.recursion(), batch.extent());
        Ops.Rows selected = ops.compact(ops.compareElements(depth, Comparison.AT_LEAST, recursion), Optional.empty());
        return new io.mor.api.routing.Routing(Optional.of(selected), RoutingState.NONE, Optional.empty());
    }
}
