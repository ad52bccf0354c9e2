package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * The {@code training.evaluation} section.
 *
 * @param every optimizer steps between evaluations; 0: only at the end
 * @param batches micro-batches of validation text in each; 0: all there is
 */
public record EvaluationConfig(
        @Help("steps between evaluations; 0: only at the end") @DefaultValue("200") @Range(min = 0)
        int every,

        @Help("micro-batches per evaluation; 0: all validation text") @DefaultValue("20") @Range(min = 0)
        int batches) {}
