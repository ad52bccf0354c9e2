package io.mor.api.tensor;

import io.mor.api.plugin.Stability;
import java.util.List;

/**
 * What an extension keeps. Everything declared here is part of every checkpoint. The lists are the same on every call.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface Stateful {

    /** The trained parameters, in the order in which they are initialised and saved. */
    default List<Parameter> parameters() {
        return List.of();
    }

    /** The buffers. */
    default List<StateBuffer> buffers() {
        return List.of();
    }

    /**
     * Called once after every optimizer step of training, never in evaluation; may {@link CallContext#assign assign} buffers.
     *
     * @param context operations without gradients
     */
    default void afterOptimizerStep(CallContext context) {}
}
