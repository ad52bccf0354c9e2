package io.mor.kvcache.shared;

import io.mor.api.cache.KvCache;
import io.mor.testkit.KvCacheContract;

class HybridCacheContractTest extends KvCacheContract {

    @Override
    protected KvCache createCache() {
        return new HybridCache();
    }

    @Override
    protected boolean readsEarlierRecursions() {
        return true;
    }
}
