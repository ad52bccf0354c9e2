package io.mor.api.routing;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.StateBuffer;
import io.mor.api.tensor.Stateful;
import io.mor.api.tensor.Tensor;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A causal rule of selection (spec 2.7): whether a row goes on depends on that row and on the selector's buffers alone, so that prefill and
 * token-by-token decoding agree. Parameters are not allowed, buffers are.
 *
 * <p>Thread safety: immutable.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface Selector extends Stateful {

    /**
     * 1 for the candidates that go on, 0 for the others: {@code [rows, 1]}, without gradient. By convention recursion 1 takes all, and a router
     * need not ask there.
     */
    Tensor select(CallContext context, SelectionRequest request);

    /**
     * Called in training after the full-sequence selection, to let the selector track what it will need.
     *
     * @param selected 1 for the rows that were selected, {@code [rows, 1]}
     */
    default void observe(CallContext context, SelectionRequest request, Tensor selected) {}

    /** The depth that every token gets, if this rule fixes it; token-choice routers honour it too. */
    default OptionalInt fixedDepth() {
        return OptionalInt.empty();
    }

    /** Whether the rule needs {@link SelectionRequest#predictions}. */
    default boolean needsPredictions() {
        return false;
    }

    /** The cut-offs per recursion as a buffer {@code [1, recursions]}, if depth can be set by calibration. */
    default Optional<StateBuffer> cutoffs() {
        return Optional.empty();
    }
}
