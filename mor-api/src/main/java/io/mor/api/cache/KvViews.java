package io.mor.api.cache;

import io.mor.api.plugin.Stability;

/**
 * The caches of a block's layers for one visit.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface KvViews {

    /**
     * The view of a layer; each is asked for and used once per visit.
     *
     * @param layer layer inside the block, from 0
     */
    KvView layer(int layer);
}
