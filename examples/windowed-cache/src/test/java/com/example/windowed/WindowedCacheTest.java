package com.example.windowed;

import io.mor.api.cache.KvCache;
import io.mor.testkit.KvCacheContract;

/** Everything that a cache strategy promises; the contract's tests are inherited. */
class WindowedCacheTest extends KvCacheContract {

    @Override
    protected KvCache createCache() {
        return new WindowedCache(new WindowedConfig(3));
    }

    @Override
    protected boolean hasWindows() {
        return true;
    }
}
