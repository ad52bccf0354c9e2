package io.mor.kvcache.recursionwise;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import io.mor.api.plugin.NoConfig;
import java.util.List;

/** Brings the cache strategy {@code recursion-wise}. */
public final class RecursionWiseCachePlugin implements MorPlugin {

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.KV_CACHE,
                "recursion-wise",
                RecursionWiseCache.class,
                NoConfig.class,
                "each recursion keeps and reads the keys and values of its own tokens"));
    }
}
