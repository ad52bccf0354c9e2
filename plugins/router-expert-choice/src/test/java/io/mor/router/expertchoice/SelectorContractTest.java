package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Selector;
import io.mor.testkit.SelectorContract;
import org.junit.jupiter.api.Nested;

/** The selectors' contract. */
class SelectorContractTest {

    @Nested
    class LogitThreshold extends SelectorContract {
        @Override
        protected Selector createSelector(ModelShape shape) {
            return new LogitThresholdSelector();
        }
    }

    @Nested
    class AuxiliaryRouter extends SelectorContract {
        @Override
        protected Selector createSelector(ModelShape shape) {
            return new AuxiliaryRouterSelector();
        }
    }

    @Nested
    class EmaCutoff extends SelectorContract {
        @Override
        protected Selector createSelector(ModelShape shape) {
            return new EmaCutoffSelector(new EmaCutoffConfig(0.99), shape);
        }
    }

    @Nested
    class FixedDepth extends SelectorContract {
        @Override
        protected Selector createSelector(ModelShape shape) {
            return new FixedDepthSelector(new FixedDepthConfig(2), shape);
        }
    }

    @Nested
    class Random extends SelectorContract {
        @Override
        protected Selector createSelector(ModelShape shape) {
            return new RandomSelector();
        }
    }
}
