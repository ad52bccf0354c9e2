package io.mor.tokenizer.huggingface;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;

/**
 * What can be configured.
 *
 * @param path of a tokenizer.json, or of a folder with one in it
 * @param endOfText the token that ends a text, for example {@code <|endoftext|>}; if empty, what {@code tokenizer_config.json} beside the
 *     file calls {@code eos_token}, or else a special token of a usual name; {@code none} for none
 */
public record HuggingFaceConfig(
        @Help("path of a tokenizer.json, or of its folder") String path,

        @Help("the token that ends a text; empty finds it, none turns it off") @DefaultValue("\"\"")
        String endOfText) {}
