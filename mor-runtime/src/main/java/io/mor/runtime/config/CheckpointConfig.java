package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import java.util.List;

/**
 * The {@code training.checkpoint} section.
 *
 * @param every optimizer steps between checkpoints; 0: only at the end
 * @param at further steps after which one is saved, and kept for good
 * @param keep how many of the regular ones are kept, the newest; 0: all
 */
public record CheckpointConfig(
    @Help("steps between checkpoints; 0: only at the end") @DefaultValue("500") @Range(min = 0) int every,
    @Help("further steps after which one is saved, and kept for good") @DefaultValue("[]") @Range(min = 1) List<Integer> at,
    @Help("how many regular ones are kept; 0: all") @DefaultValue("2") @Range(min = 0) int keep) {}
