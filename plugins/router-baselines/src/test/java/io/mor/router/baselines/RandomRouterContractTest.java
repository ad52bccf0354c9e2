package io.mor.router.baselines;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterBench;
import io.mor.testkit.RouterContract;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

class RandomRouterContractTest extends RouterContract {

    @Override
    protected Router createRouter(ModelShape shape) {
        return new RandomRouter(new RandomRouterConfig(List.of(), 0.3), shape);
    }

    @Override
    protected boolean sequencesAreIndependent() {
        return false; // scores are drawn by the sequence's place in the batch
    }

    @Override
    protected Optional<double[]> closedForm(RouterBench bench, double[] row, int depth) {
        double[] value = row;
        for (int recursion = 1; recursion <= depth; recursion++) {
            value = Arrays.stream(value)
                    .map(x -> x + 0.3 * RouterBench.block(x))
                    .toArray();
        }
        return Optional.of(value);
    }
}
