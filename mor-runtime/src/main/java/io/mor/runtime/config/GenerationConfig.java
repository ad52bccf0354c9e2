package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import java.util.List;

/**
 * The {@code generation} section: what a request gets that does not say otherwise.
 *
 * @param maxTokens new tokens at most
 * @param temperature 0 is greedy
 * @param topK only the k likeliest tokens; 0: all
 * @param topP only the likeliest tokens that together have this probability; 1: all
 * @param seed of the draws
 * @param stopTokens ids that end the text
 * @param stopTexts texts that end the text; not part of it
 */
public record GenerationConfig(
        @Help("new tokens at most") @DefaultValue("256") @Range(min = 1)
        int maxTokens,

        @Help("0 is greedy") @DefaultValue("0.8") @Range(min = 0)
        double temperature,

        @Help("only the k likeliest tokens; 0: all") @DefaultValue("0") @Range(min = 0)
        int topK,

        @Help("only the likeliest tokens with this probability together; 1: all")
        @DefaultValue("1")
        @Range(min = 0, max = 1, exclusiveMin = true)
        double topP,

        @Help("seed of the draws") @DefaultValue("0") long seed,

        @Help("token ids that end the text") @DefaultValue("[]") @Range(min = 0)
        List<Integer> stopTokens,

        @Help("texts that end the text") @DefaultValue("[]") List<String> stopTexts) {}
