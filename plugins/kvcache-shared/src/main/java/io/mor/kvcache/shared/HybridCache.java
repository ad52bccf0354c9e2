package io.mor.kvcache.shared;

import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvVisit;

/**
 * As {@link SharedCache}, but at later recursions the active tokens' fresh keys and values stand in for the shared ones at their positions, for
 * that recursion only (spec 4.4, {@code update_cache}). Immutable.
 */
public final class HybridCache implements KvCache {

    @Override
    public KvVisit visit(int recursion, int recursions, int layer) {
        return recursion == 1 ? KvVisit.own(1) : KvVisit.overlaid(1);
    }

    @Override
    public boolean everyCandidateRuns(int recursion) {
        return recursion == 1;
    }
}
