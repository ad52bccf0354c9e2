package io.mor.block.llama;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.List;

/** Brings the recursion block {@code llama}. */
public final class LlamaBlockPlugin implements MorPlugin {

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.RECURSION_BLOCK,
                "llama",
                LlamaBlock.class,
                LlamaConfig.class,
                "pre-norm decoder layers: RMSNorm, RoPE, GQA, SwiGLU"));
    }
}
