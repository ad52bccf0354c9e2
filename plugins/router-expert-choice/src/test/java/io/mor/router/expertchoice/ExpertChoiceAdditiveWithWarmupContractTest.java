package io.mor.router.expertchoice;

/** No gate, and capacities that warm up; gradients reach the router through the losses alone. */
class ExpertChoiceAdditiveWithWarmupContractTest extends ExpertChoiceContract {

    @Override
    ExpertChoiceConfigs config() {
        ExpertChoiceConfigs config = new ExpertChoiceConfigs();
        config.gating = Gating.ADDITIVE;
        config.capacityWarmupSteps = 10;
        config.coefficient = 1;
        return config;
    }
}
