package io.mor.router.tokenchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterContract;
import org.junit.jupiter.api.Nested;

/** The routers' contract for every kind of token choice. */
class TokenChoiceContractTest {

    private abstract static class TokenChoiceContract extends RouterContract {
        @Override
        protected boolean takesExactShares() {
            return false; // depths are the tokens' choice
        }
    }

    /** The published best setting, with a z-loss. */
    @Nested
    class Softmax extends TokenChoiceContract {
        @Override
        protected Router createRouter(ModelShape shape) {
            TokenChoiceConfigs config = new TokenChoiceConfigs();
            config.coefficient = 0.5;
            config.zCoefficient = 0.2;
            return new TokenChoiceRouter(config.build(), shape);
        }
    }

    /** Sigmoid, temperature, loss-free balancing. */
    @Nested
    class SigmoidLossFree extends TokenChoiceContract {
        @Override
        protected Router createRouter(ModelShape shape) {
            TokenChoiceConfigs config = new TokenChoiceConfigs();
            config.architecture = Architecture.MLP;
            config.function = ScoreFunction.SIGMOID;
            config.alpha = 0.7;
            config.temperature = 1.5;
            config.balancing = Balancing.LOSS_FREE;
            return new TokenChoiceRouter(config.build(), shape);
        }
    }

    /** No gate, and a micro-batch count within the warm-up. */
    @Nested
    class AdditiveInWarmup extends TokenChoiceContract {
        @Override
        protected Router createRouter(ModelShape shape) {
            TokenChoiceConfigs config = new TokenChoiceConfigs();
            config.architecture = Architecture.WIDE_MLP;
            config.gating = Gating.ADDITIVE;
            config.balanceWarmupSteps = 10;
            return new TokenChoiceRouter(config.build(), shape);
        }
    }

    /** Trained through the gate alone. */
    @Nested
    class Unbalanced extends TokenChoiceContract {
        @Override
        protected Router createRouter(ModelShape shape) {
            TokenChoiceConfigs config = new TokenChoiceConfigs();
            config.balancing = Balancing.NONE;
            return new TokenChoiceRouter(config.build(), shape);
        }
    }
}
