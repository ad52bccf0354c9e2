package io.mor.runtime.builtin;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import io.mor.runtime.data.ByteTokenizer;
import io.mor.runtime.data.CharacterTokenizer;
import io.mor.runtime.importer.Llama2cTokenizer;
import io.mor.runtime.metrics.JsonLinesSink;
import java.util.List;

/** The extensions that need no plugin jar. */
public final class BuiltinPlugin implements MorPlugin {

    /** For the service loader. */
    public BuiltinPlugin() {}

    @Override
    public List<Extension> extensions() {
        return List.of(
                new Extension(
                        ExtensionKind.TOKENIZER,
                        "byte",
                        ByteTokenizer.class,
                        ByteTokenizer.Config.class,
                        "the bytes of UTF-8 as ids, optionally an end of text"),
                new Extension(
                        ExtensionKind.TOKENIZER,
                        "character",
                        CharacterTokenizer.class,
                        CharacterTokenizer.Config.class,
                        "one id for each character of a vocabulary, given or learned from the corpus"),
                new Extension(
                        ExtensionKind.TOKENIZER,
                        "llama2c",
                        Llama2cTokenizer.class,
                        Llama2cTokenizer.Config.class,
                        "a tokenizer file of llama2.c, such as tok512.bin"),
                new Extension(
                        ExtensionKind.METRIC_SINK,
                        "jsonl",
                        JsonLinesSink.class,
                        JsonLinesSink.Config.class,
                        "JSON lines in the run folder"));
    }
}
