package com.example.earlyexit;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterBench;
import io.mor.testkit.RouterContract;
import java.util.Arrays;
import java.util.Optional;

/** Everything that a router promises; the contract's tests are inherited. */
class ConvergenceRouterTest extends RouterContract {

    @Override
    protected Router createRouter(ModelShape shape) {
        return new ConvergenceRouter(new ConvergenceConfig(0.3));
    }

    /** How many go on depends on their values, not on a share fixed beforehand. */
    @Override
    protected boolean takesExactShares() {
        return false;
    }

    /** The block's output takes its input's place. */
    @Override
    protected Optional<double[]> closedForm(RouterBench bench, double[] row, int depth) {
        double[] value = row;
        for (int recursion = 1; recursion <= depth; recursion++) {
            value = Arrays.stream(value).map(RouterBench::block).toArray();
        }
        return Optional.of(value);
    }
}
