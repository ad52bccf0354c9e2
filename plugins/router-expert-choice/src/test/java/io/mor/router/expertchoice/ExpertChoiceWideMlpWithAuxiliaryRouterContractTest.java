package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterContract;
import java.util.Set;

/** An auxiliary router and no function. */
class ExpertChoiceWideMlpWithAuxiliaryRouterContractTest extends RouterContract {

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
