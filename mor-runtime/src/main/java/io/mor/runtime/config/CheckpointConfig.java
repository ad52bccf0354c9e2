package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * The {@code training.checkpoint} section.
 *
 * @param every optimizer steps between checkpoints; 0: only at the end
 * @param keep how many are kept, the newest; 0: all
 */
public record CheckpointConfig(
        @Help("steps between checkpoints; 0: only at the end") @DefaultValue("500") @Range(min = 0)
        int every,

        @Help("how many are kept, the newest; 0: all") @DefaultValue("2") @Range(min = 0)
        int keep) {}
