package com.example.earlyexit;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterContract;

/** Everything that a router promises; the contract's tests are inherited. */
class ConvergenceRouterTest extends RouterContract {

    @Override
    protected Router createRouter(ModelShape shape) {
        return new ConvergenceRouter(new ConvergenceConfig(0.3));
    }

    /** How many go on depends on their values, not on a share fixed beforehand. */
    @Override
    protected boolean takesExactShares() {
        return false;
    }
}
