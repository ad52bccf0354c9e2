package io.mor.router.tokenchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterContract;

/** No gate, and a micro-batch count within the warm-up. */
class TokenChoiceAdditiveInWarmupContractTest extends RouterContract {

    @Override
    protected Router createRouter(ModelShape shape) {
        TokenChoiceConfigs config = new TokenChoiceConfigs();
        config.architecture = Architecture.WIDE_MLP;
        config.gating = Gating.ADDITIVE;
        config.balanceWarmupSteps = 10;
        return new TokenChoiceRouter(config.build(), shape);
    }

    @Override
    protected boolean takesExactShares() {
        return false; // depths are the tokens' choice
    }
}
