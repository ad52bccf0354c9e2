package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Selector;
import io.mor.testkit.SelectorContract;

class EmaCutoffSelectorContractTest extends SelectorContract {

    @Override
    protected Selector createSelector(ModelShape shape) {
        return new EmaCutoffSelector(new EmaCutoffConfig(0.99), shape);
    }
}
