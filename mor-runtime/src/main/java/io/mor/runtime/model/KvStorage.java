package io.mor.runtime.model;

import io.mor.api.cache.KvViews;
import io.mor.api.routing.TokenBatch;

/** Where the keys and values of a call go; interprets the plans of a {@link io.mor.api.cache.KvCache}. */
public interface KvStorage {

    /**
     * The caches of one visit.
     *
     * @param stage index of the stage
     * @param batch the rows that visit
     */
    KvViews visit(ModelCall call, int stage, TokenBatch batch);
}
