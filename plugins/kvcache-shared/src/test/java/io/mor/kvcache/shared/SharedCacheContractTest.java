package io.mor.kvcache.shared;

import io.mor.api.cache.KvCache;
import io.mor.testkit.KvCacheContract;

class SharedCacheContractTest extends KvCacheContract {

    @Override
    protected KvCache createCache() {
        return new SharedCache();
    }

    @Override
    protected boolean storesAtLaterRecursions() {
        return false;
    }

    @Override
    protected boolean readsEarlierRecursions() {
        return true;
    }
}
