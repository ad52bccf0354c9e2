package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Selector;
import io.mor.testkit.SelectorContract;

class FixedDepthSelectorContractTest extends SelectorContract {

    @Override
    protected Selector createSelector(ModelShape shape) {
        return new FixedDepthSelector(new FixedDepthConfig(2), shape);
    }
}
