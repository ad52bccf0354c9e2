package io.mor.router.tokenchoice;

/** Sigmoid, temperature, loss-free balancing. */
class TokenChoiceSigmoidLossFreeContractTest extends TokenChoiceContract {

    @Override
    TokenChoiceConfigs config() {
        TokenChoiceConfigs config = new TokenChoiceConfigs();
        config.architecture = Architecture.MLP;
        config.function = ScoreFunction.SIGMOID;
        config.alpha = 0.7;
        config.temperature = 1.5;
        config.balancing = Balancing.LOSS_FREE;
        return config;
    }
}
