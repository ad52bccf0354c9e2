package io.mor.router.expertchoice;

import java.util.List;

/** Two layers, tanh, temperature, a capacity below 1 at the start, the released coefficient. */
class ExpertChoiceMlpContractTest extends ExpertChoiceContract {

    @Override
    ExpertChoiceConfigs config() {
        ExpertChoiceConfigs config = new ExpertChoiceConfigs();
        config.architecture = Architecture.MLP;
        config.function = ScoreFunction.TANH;
        config.alpha = 0.7;
        config.temperature = 1.7;
        config.capacity = List.of(0.8, 0.8, 0.3);
        config.normalization = CoefficientNormalization.AS_RELEASED;
        config.coefficient = 0.2;
        return config;
    }
}
