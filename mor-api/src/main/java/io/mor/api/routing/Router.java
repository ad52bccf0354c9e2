package io.mor.api.routing;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.Stateful;
import io.mor.api.tensor.Tensor;
import java.util.Optional;

/**
 * Decides which rows go through each recursion and how the block's output changes them (spec 2 and 3).
 *
 * <p>The walk of one call: {@code state = begin(...)} on the rows that enter the shared block; then for every recursion {@link #route} on the
 * rows still active, the block on the selected ones, {@link #update} on those. A row that is not selected keeps its value and takes no
 * further part.
 *
 * <p>The constructor may take its config record and {@link io.mor.api.model.ModelShape}. Thread safety: immutable.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface Router extends Stateful {

    /**
     * Called once on the rows that enter recursion 1. A router that decides the whole depth at once does it here.
     *
     * @param rows {@code [rows, hidden]}
     * @return what to remember of each row
     */
    default RoutingState begin(RouterContext context, TokenBatch batch, Tensor rows) {
        return RoutingState.NONE;
    }

    /**
     * Decides for the rows about to enter their recursions. In a decoding batch these may differ: see {@link TokenBatch#segments}.
     *
     * @param rows {@code [rows, hidden]}, the raw residual stream
     * @param state as returned by {@link #begin} or the recursion before, gathered to these rows
     */
    Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state);

    /**
     * The new value of the selected rows. The default is {@code previous + gate * output}, which the runtime fuses.
     *
     * @param batch the selected rows
     * @param previous their value before the block, {@code [rows, hidden]}
     * @param output the block's output
     * @param state the routing's state for these rows
     * @param gate the routing's gate for these rows, {@code [rows, 1]}
     */
    default Tensor update(
            RouterContext context,
            TokenBatch batch,
            Tensor previous,
            Tensor output,
            RoutingState state,
            Optional<Tensor> gate) {
        return context.ops().add(previous, gate.isPresent() ? context.ops().scaleRows(output, gate.get()) : output);
    }

    /** Whether {@link #update} is the default, so that the runtime may use its fused form. Overriding update means overriding this. */
    default boolean updatesByGatedAddition() {
        return true;
    }

    /** The expected fraction of all tokens that run a recursion (from 1); what FLOP counts are made of. */
    default double expectedShare(int recursion, int recursions) {
        return (recursions - recursion + 1.0) / recursions;
    }

    /** Whether selection in training sees later tokens, so that generation needs a causal {@link Selector}. */
    default boolean needsSelector() {
        return false;
    }
}
