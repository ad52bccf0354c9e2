package io.mor.testkit;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.routing.RouterContext;
import io.mor.api.routing.Routing;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.Optional;
import java.util.stream.IntStream;

/** Gives each position a depth that is known beforehand: causal, learns nothing, no gate. */
record DepthPatternRouter(ModelShape shape) implements Router {

    /** The depth of a position: all of 1 .. recursions, in no simple order. */
    static int depth(int position, int recursions) {
        return 1 + (position * position + 2 * position + 2) % 7 % recursions;
    }

    @Override
    public Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state) {
        Ops ops = context.ops();
        int[] depths = IntStream.range(0, shape.context())
                .map(position -> depth(position, shape.recursions()))
                .toArray();
        Tensor depth = ops.toColumn(ops.gatherInts(ops.ints(depths), batch.position(), batch.extent()), batch.extent());
        Tensor recursion = ops.toColumn(batch.recursion(), batch.extent());
        Tensor goesOn = ops.compareElements(depth, Comparison.AT_LEAST, recursion);
        return new Routing(Optional.of(ops.compact(goesOn, Optional.empty())), state, Optional.empty());
    }
}
