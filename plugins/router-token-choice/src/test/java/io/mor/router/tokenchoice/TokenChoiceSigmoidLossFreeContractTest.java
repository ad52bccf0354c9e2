package io.mor.router.tokenchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterContract;

/** Sigmoid, temperature, loss-free balancing. */
class TokenChoiceSigmoidLossFreeContractTest extends RouterContract {

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

    @Override
    protected boolean takesExactShares() {
        return false; // depths are the tokens' choice
    }
}
