package io.mor.router.tokenchoice;

/** Trained through the gate alone. */
class TokenChoiceUnbalancedContractTest extends TokenChoiceContract {

    @Override
    TokenChoiceConfigs config() {
        TokenChoiceConfigs config = new TokenChoiceConfigs();
        config.balancing = Balancing.NONE;
        return config;
    }
}
