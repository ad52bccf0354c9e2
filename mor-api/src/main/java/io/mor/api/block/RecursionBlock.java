package io.mor.api.block;

import io.mor.api.cache.KvViews;
import io.mor.api.plugin.Stability;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Stateful;
import io.mor.api.tensor.Tensor;

/**
 * A stack of layers that can be applied again and again. The same kind of block also makes the unshared first and last layers.
 *
 * <p>The constructor may take its config record, {@link io.mor.api.model.ModelShape} and {@link BlockPlacement}. Thread safety: immutable; all
 * that a call changes is in its context and caches.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface RecursionBlock extends Stateful {

    /**
     * One pass, residual connections included.
     *
     * @param batch which token each row is: sequence, original position, recursion. In a decoding batch rows of several recursions are mixed
     * @param rows {@code [rows, hidden]}, not to be changed
     * @param caches the keys and values of each layer
     * @return {@code [rows, hidden]}, same extent
     */
    Tensor apply(CallContext context, TokenBatch batch, Tensor rows, KvViews caches);

    /** Multiply-adds of one row's matrix products in one pass, attention scores left out; with or without projecting keys and values. */
    long multiplyAddsPerRow(boolean projectsKeysAndValues);
}
