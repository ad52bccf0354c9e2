package io.mor.router.tokenchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterContract;

/** Trained through the gate alone. */
class TokenChoiceUnbalancedContractTest extends RouterContract {

    @Override
    protected Router createRouter(ModelShape shape) {
        TokenChoiceConfigs config = new TokenChoiceConfigs();
        config.balancing = Balancing.NONE;
        return new TokenChoiceRouter(config.build(), shape);
    }

    @Override
    protected boolean takesExactShares() {
        return false; // depths are the tokens' choice
    }
}
