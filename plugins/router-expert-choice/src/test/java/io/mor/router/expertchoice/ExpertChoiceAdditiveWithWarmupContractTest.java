package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterContract;

/** No gate, and capacities that warm up; gradients reach the router through the losses alone. */
class ExpertChoiceAdditiveWithWarmupContractTest extends RouterContract {

    @Override
    protected Router createRouter(ModelShape shape) {
        ExpertChoiceConfigs config = new ExpertChoiceConfigs();
        config.gating = Gating.ADDITIVE;
        config.capacityWarmupSteps = 10;
        config.coefficient = 1;
        return new ExpertChoiceRouter(config.build(), shape);
    }
}
