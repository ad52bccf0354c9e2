package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Selector;
import io.mor.testkit.SelectorContract;

class AuxiliaryRouterSelectorContractTest extends SelectorContract {

    @Override
    protected Selector createSelector(ModelShape shape) {
        return new AuxiliaryRouterSelector();
    }
}
