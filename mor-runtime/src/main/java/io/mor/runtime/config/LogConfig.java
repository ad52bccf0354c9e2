package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * The {@code training.log} section.
 *
 * @param every optimizer steps between two reports to the metric sinks
 */
public record LogConfig(
        @Help("steps between two reports") @DefaultValue("10") @Range(min = 1)
        int every) {}
