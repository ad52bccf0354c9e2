package io.mor.kvcache.recursionwise;

import io.mor.api.cache.KvCache;
import io.mor.testkit.KvCacheContract;

class RecursionWiseCacheContractTest extends KvCacheContract {

    @Override
    protected KvCache createCache() {
        return new RecursionWiseCache();
    }
}
