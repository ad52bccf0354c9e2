package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Selector;
import io.mor.testkit.SelectorContract;

class LogitThresholdSelectorContractTest extends SelectorContract {

    @Override
    protected Selector createSelector(ModelShape shape) {
        return new LogitThresholdSelector();
    }
}
