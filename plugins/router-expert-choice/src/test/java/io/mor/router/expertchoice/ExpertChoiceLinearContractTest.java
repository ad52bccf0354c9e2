package io.mor.router.expertchoice;

/** The published best setting, with losses large enough for a gradient check to see. */
class ExpertChoiceLinearContractTest extends ExpertChoiceContract {

    @Override
    ExpertChoiceConfigs config() {
        ExpertChoiceConfigs config = new ExpertChoiceConfigs();
        config.coefficient = 0.3;
        config.zCoefficient = 0.2;
        return config;
    }
}
