package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.runtime.binding.Inline;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The {@code model} section.
 *
 * @param preset a named shape whose keys count where this section says nothing (see {@link ModelPresets}); empty in a resolved config
 * @param startFrom the run or checkpoint of a trained model from whose weights this one starts (spec 1.4)
 * @param shape sizes and sharing
 * @param block the kind of layers
 */
public record ModelSection(
        @Help("a named shape; keys given here win over it") Optional<String> preset,

        @Help("run or checkpoint of a trained model whose weights this one starts from, by the rule of initialization")
        Optional<Path> startFrom,

        @Inline ModelConfig shape,

        @Help("the layers that are applied again and again") @DefaultValue("llama")
        ExtensionConfig block) {}
