package com.example.parallel;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import io.mor.api.plugin.NoConfig;
import java.util.List;

/** Brings the recursion block {@code parallel}. */
public final class ParallelPlugin implements MorPlugin {

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.RECURSION_BLOCK,
                "parallel",
                ParallelBlock.class,
                NoConfig.class,
                "attention and feed-forward side by side"));
    }
}
