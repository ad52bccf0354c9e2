package io.mor.kvcache.shared;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import io.mor.api.plugin.NoConfig;
import java.util.List;

/** Brings the cache strategies {@code shared} and {@code hybrid}. */
public final class SharedCachePlugin implements MorPlugin {

    @Override
    public List<Extension> extensions() {
        return List.of(
                new Extension(
                        ExtensionKind.KV_CACHE,
                        "shared",
                        SharedCache.class,
                        NoConfig.class,
                        "later recursions read the keys and values of recursion 1"),
                new Extension(
                        ExtensionKind.KV_CACHE,
                        "hybrid",
                        HybridCache.class,
                        NoConfig.class,
                        "as shared, with the recursion's own keys and values at the positions of its tokens"));
    }
}
