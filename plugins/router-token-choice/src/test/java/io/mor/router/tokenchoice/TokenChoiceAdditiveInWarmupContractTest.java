package io.mor.router.tokenchoice;

/** No gate, and a micro-batch count within the warm-up. */
class TokenChoiceAdditiveInWarmupContractTest extends TokenChoiceContract {

    @Override
    TokenChoiceConfigs config() {
        TokenChoiceConfigs config = new TokenChoiceConfigs();
        config.architecture = Architecture.WIDE_MLP;
        config.gating = Gating.ADDITIVE;
        config.balanceWarmupSteps = 10;
        return config;
    }
}
