package io.mor.router.tokenchoice;

/** The published best setting, with a z-loss. */
class TokenChoiceSoftmaxContractTest extends TokenChoiceContract {

    @Override
    TokenChoiceConfigs config() {
        TokenChoiceConfigs config = new TokenChoiceConfigs();
        config.coefficient = 0.5;
        config.zCoefficient = 0.2;
        return config;
    }
}
