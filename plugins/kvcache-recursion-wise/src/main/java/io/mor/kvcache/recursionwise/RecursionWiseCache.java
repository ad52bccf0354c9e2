package io.mor.kvcache.recursionwise;

import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvVisit;

/** Each recursion keeps and reads the keys and values of the tokens that entered it (spec 4.1, "Cache"). Immutable. */
public final class RecursionWiseCache implements KvCache {

    @Override
    public KvVisit visit(int recursion, int recursions, int layer) {
        return KvVisit.own(recursion);
    }
}
