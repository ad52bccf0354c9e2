package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterContract;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Nested;

/** The routers' contract for every kind of expert choice. */
class ExpertChoiceContractTest {

    /** The published best setting, with losses large enough for a gradient check to see. */
    @Nested
    class Linear extends RouterContract {
        @Override
        protected Router createRouter(ModelShape shape) {
            ExpertChoiceConfigs config = new ExpertChoiceConfigs();
            config.coefficient = 0.3;
            config.zCoefficient = 0.2;
            return new ExpertChoiceRouter(config.build(), shape);
        }
    }

    /** Two layers, tanh, temperature, a capacity below 1 at the start, the released coefficient. */
    @Nested
    class Mlp extends RouterContract {
        @Override
        protected Router createRouter(ModelShape shape) {
            ExpertChoiceConfigs config = new ExpertChoiceConfigs();
            config.architecture = Architecture.MLP;
            config.function = ScoreFunction.TANH;
            config.alpha = 0.7;
            config.temperature = 1.7;
            config.capacity = List.of(0.8, 0.8, 0.3);
            config.normalization = CoefficientNormalization.AS_RELEASED;
            config.coefficient = 0.2;
            return new ExpertChoiceRouter(config.build(), shape);
        }
    }

    /** An auxiliary router and no function. */
    @Nested
    class WideMlpWithAuxiliaryRouter extends RouterContract {
        @Override
        protected Router createRouter(ModelShape shape) {
            ExpertChoiceConfigs config = new ExpertChoiceConfigs();
            config.architecture = Architecture.WIDE_MLP;
            config.function = ScoreFunction.NONE;
            config.sampling = Sampling.AUX_ROUTER;
            config.coefficient = 0.4;
            return new ExpertChoiceRouter(config.build(), shape);
        }

        @Override
        protected Set<String> lossesOfDetachedRows() {
            return Set.of("sampling-loss");
        }
    }

    /** No gate, and capacities that warm up; gradients reach the router through the losses alone. */
    @Nested
    class AdditiveWithWarmup extends RouterContract {
        @Override
        protected Router createRouter(ModelShape shape) {
            ExpertChoiceConfigs config = new ExpertChoiceConfigs();
            config.gating = Gating.ADDITIVE;
            config.capacityWarmupSteps = 10;
            config.coefficient = 1;
            return new ExpertChoiceRouter(config.build(), shape);
        }
    }
}
