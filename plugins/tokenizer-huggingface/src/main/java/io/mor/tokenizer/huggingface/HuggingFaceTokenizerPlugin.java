package io.mor.tokenizer.huggingface;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.List;

/** Brings the tokenizer {@code huggingface}. */
public final class HuggingFaceTokenizerPlugin implements MorPlugin {

    /** For the service loader. */
    public HuggingFaceTokenizerPlugin() {}

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.TOKENIZER,
                "huggingface",
                HuggingFaceTokenizer.class,
                HuggingFaceConfig.class,
                "a tokenizer.json of Hugging Face, read from disk"));
    }
}
