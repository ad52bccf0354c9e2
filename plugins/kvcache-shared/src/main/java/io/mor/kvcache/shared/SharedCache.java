package io.mor.kvcache.shared;

import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvVisit;

/**
 * Recursion 1 stores every token's keys and values, later recursions only read them and project none (spec 4.1, "Share"). Immutable.
 */
public final class SharedCache implements KvCache {

    @Override
    public KvVisit visit(int recursion, int recursions, int layer) {
        return recursion == 1 ? KvVisit.own(1) : KvVisit.shared(1);
    }

    @Override
    public boolean everyCandidateRuns(int recursion) {
        return recursion == 1;
    }
}
