package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import java.nio.file.Path;
import java.util.List;

/**
 * The {@code data} section. A path is a file, a folder (with everything under it), a pattern as {@code texts/**.txt}, or the same inside an
 * archive, as {@code corpus.jar!/**.java}; JSON lines (*.jsonl) give one document a line. Relative paths are relative to the working directory.
 *
 * @param paths what to train on, in this order
 * @param validationPaths what to validate on; empty: a part of {@code paths}
 * @param validationFraction the part of the tokens, at the end, that is kept for validation where there are no paths for it
 * @param jsonField the field of a JSON line that holds the text
 * @param shards where tokenised text is kept
 */
public record DataConfig(
    @Help("files, folders, patterns and archive entries (corpus.jar!/**.java) to train on") @DefaultValue("[]") List<String> paths,
    @Help("the same to validate on; empty: a part of paths") @DefaultValue("[]") List<String> validationPaths,
    @Help("part of the tokens kept for validation if there are no paths for it") @DefaultValue("0.05") @Range(min = 0, max = 0.9)
        double validationFraction,
    @Help("field of a JSON line that holds the text") @DefaultValue("text") String jsonField,
    @Help("folder in which tokenised text is kept") @DefaultValue("runs/shards") Path shards) {}
