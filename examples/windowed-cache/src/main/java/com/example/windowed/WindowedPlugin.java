package com.example.windowed;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.List;

/** Brings the cache strategy {@code windowed}. */
public final class WindowedPlugin implements MorPlugin {

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.KV_CACHE,
                "windowed",
                WindowedCache.class,
                WindowedConfig.class,
                "recursion 1 sees everything, later recursions a window"));
    }
}
