package io.mor.router.baselines;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterBench;
import io.mor.testkit.RouterContract;
import java.util.Arrays;
import java.util.Optional;

class FixedDepthAllRecursionsContractTest extends RouterContract {

    @Override
    protected Router createRouter(ModelShape shape) {
        return new FixedDepthRouter(new FixedDepthRouterConfig(0), shape);
    }

    @Override
    protected Optional<double[]> closedForm(RouterBench bench, double[] row, int depth) {
        double[] value = row;
        for (int recursion = 1; recursion <= depth; recursion++) {
            value = Arrays.stream(value).map(RouterBench::block).toArray();
        }
        return Optional.of(value);
    }
}
