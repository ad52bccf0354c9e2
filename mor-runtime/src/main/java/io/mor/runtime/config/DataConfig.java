package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import java.nio.file.Path;
import java.util.List;

/**
 * The {@code data} section. A path is a file, a folder (with everything under it), a pattern, or the same inside an
 * archive after {@code !/}; see {@link io.mor.runtime.data.Corpora}; JSON lines (*.jsonl) give one document a line. Relative paths are relative to the working directory.
 *
 * @param paths what to train on, in this order
 * @param validationPaths what to validate on; empty: a part of {@code paths}
 * @param validationFraction the part, at the end, that is kept for validation where there are no paths for it
 * @param validationUnit of what the fraction is taken
 * @param jsonField the field of a JSON line that holds the text
 * @param sampling in which order training rows are taken
 * @param shards where tokenised text is kept
 */
public record DataConfig(
        @Help("files, folders, patterns and archive entries (corpus.jar!/**/*.java) to train on") @DefaultValue("[]")
        List<String> paths,

        @Help("the same to validate on; empty: a part of paths") @DefaultValue("[]")
        List<String> validationPaths,

        @Help("part kept for validation if there are no paths for it") @DefaultValue("0.05") @Range(min = 0, max = 0.9)
        double validationFraction,

        @Help("what the fraction is of: characters (the same text for every tokenizer) or tokens")
        @DefaultValue("characters")
        ValidationUnit validationUnit,

        @Help("field of a JSON line that holds the text") @DefaultValue("text")
        String jsonField,

        @Help("order of training rows: random offsets, or sequential") @DefaultValue("random")
        Sampling sampling,

        @Help("folder in which tokenised text is kept") @DefaultValue("runs/shards")
        Path shards) {

    /** Of what the validation part is a fraction. In configs in kebab case. */
    public enum ValidationUnit {
        /** Of the text: the same for every tokenizer, so that bits per byte compare. */
        CHARACTERS,
        /** Of the tokens. */
        TOKENS
    }

    /** In which order training rows are taken. In configs in kebab case. */
    public enum Sampling {
        /** At random offsets, drawn from the seed. */
        RANDOM,
        /** One after the other without overlap, from the start again at the end (spec 5.2). */
        SEQUENTIAL
    }
}
