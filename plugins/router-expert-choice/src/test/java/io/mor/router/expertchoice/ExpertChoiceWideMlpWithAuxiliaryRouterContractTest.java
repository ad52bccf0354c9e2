package io.mor.router.expertchoice;

import java.util.Set;

/** An auxiliary router and no function. */
class ExpertChoiceWideMlpWithAuxiliaryRouterContractTest extends ExpertChoiceContract {

    @Override
    ExpertChoiceConfigs config() {
        ExpertChoiceConfigs config = new ExpertChoiceConfigs();
        config.architecture = Architecture.WIDE_MLP;
        config.function = ScoreFunction.NONE;
        config.sampling = Sampling.AUX_ROUTER;
        config.coefficient = 0.4;
        return config;
    }

    @Override
    protected Set<String> lossesOfDetachedRows() {
        return Set.of("sampling-loss");
    }
}
