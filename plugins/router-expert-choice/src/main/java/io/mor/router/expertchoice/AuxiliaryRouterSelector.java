package io.mor.router.expertchoice;

import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.Selector;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Tensor;

/** A row goes on if the auxiliary router's logit is at least 0 (spec 2.7); recursion 1 takes all. Immutable. */
public final class AuxiliaryRouterSelector implements Selector {

    @Override
    public boolean needsPredictions() {
        return true;
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalStateException if the router predicts nothing
     */
    @Override
    public Tensor select(CallContext context, SelectionRequest request) {
        if (request.recursion() == 1) {
            return context.ops().constant(request.batch().extent(), 1, 1);
        }
        Tensor predictions = request.predictions()
                .orElseThrow(() -> new IllegalStateException(
                        "selector auxiliary-router: the router predicts nothing at recursion " + request.recursion()
                                + "; train it with router.sampling aux-router, or choose another selector"));
        return context.ops().compare(predictions, Comparison.AT_LEAST, 0);
    }
}
