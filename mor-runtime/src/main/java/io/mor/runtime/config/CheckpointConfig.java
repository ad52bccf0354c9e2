package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The {@code training.checkpoint} section.
 *
 * @param every optimizer steps between checkpoints; 0: only at the end
 * @param keep how many are kept, the newest; 0: all
 * @param at fractions of the steps after which a checkpoint is saved that stays whatever comes after it (spec 5.3)
 */
public record CheckpointConfig(
        @Help("steps between checkpoints; 0: only at the end") @DefaultValue("500") @Range(min = 0)
        int every,

        @Help("how many are kept, the newest; 0: all") @DefaultValue("2") @Range(min = 0)
        int keep,

        @Help("fractions of the steps after which a checkpoint is saved that stays, for example [0.8]")
        @DefaultValue("[]")
        @Range(min = 0, max = 1, exclusiveMin = true)
        List<Double> at) {

    /** Copies the list. */
    public CheckpointConfig {
        at = List.copyOf(at);
    }

    /** The counts of steps that {@link #at} means in a run of {@code steps}. */
    public Set<Long> keptSteps(long steps) {
        return at.stream()
                .map(fraction -> Math.max(1, Math.round(fraction * steps)))
                .collect(Collectors.toSet());
    }
}
