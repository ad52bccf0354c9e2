package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.Selector;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Tensor;
import jakarta.inject.Inject;
import java.util.OptionalInt;

/** Every token runs exactly so many recursions, whatever its scores (spec 2.7). Immutable. */
public final class FixedDepthSelector implements Selector {

    private final int depth;

    /**
     * A selector for a model.
     *
     * @throws IllegalArgumentException if the model has fewer recursions
     */
    @Inject
    public FixedDepthSelector(FixedDepthConfig config, ModelShape shape) {
        if (config.depth() > shape.recursions()) {
            throw new IllegalArgumentException("selector.depth: " + config.depth() + " is more than the model's "
                    + shape.recursions() + " recursions");
        }
        this.depth = config.depth();
    }

    @Override
    public Tensor select(CallContext context, SelectionRequest request) {
        return context.ops().constant(request.batch().extent(), 1, request.recursion() <= depth ? 1 : 0);
    }

    @Override
    public OptionalInt fixedDepth() {
        return OptionalInt.of(depth);
    }
}
