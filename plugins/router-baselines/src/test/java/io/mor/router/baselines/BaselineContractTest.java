package io.mor.router.baselines;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterContract;
import java.util.List;
import org.junit.jupiter.api.Nested;

/** The routers' contract for the routers that learn nothing. */
class BaselineContractTest {

    @Nested
    class Random extends RouterContract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new RandomRouter(new RandomRouterConfig(List.of(), 0.3), shape);
        }

        @Override
        protected boolean sequencesAreIndependent() {
            return false; // scores are drawn by the sequence's place in the batch
        }
    }

    @Nested
    class AllRecursions extends RouterContract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new FixedDepthRouter(new FixedDepthRouterConfig(0), shape);
        }
    }

    @Nested
    class TwoRecursions extends RouterContract {
        @Override
        protected Router createRouter(ModelShape shape) {
            return new FixedDepthRouter(new FixedDepthRouterConfig(2), shape);
        }
    }
}
