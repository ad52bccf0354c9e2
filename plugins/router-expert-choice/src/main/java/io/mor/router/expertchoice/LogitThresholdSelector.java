package io.mor.router.expertchoice;

import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.Selector;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Tensor;

/** A row goes on if the router's logit is at least 0, which the auxiliary loss teaches it (spec 2.7); recursion 1 takes all. Immutable. */
public final class LogitThresholdSelector implements Selector {

    @Override
    public Tensor select(CallContext context, SelectionRequest request) {
        if (request.recursion() == 1) {
            return context.ops().constant(request.batch().extent(), 1, 1);
        }
        return context.ops().compare(request.scores(), Comparison.AT_LEAST, 0);
    }
}
