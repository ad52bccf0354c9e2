package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * The {@code training.schedule} section (spec 5.3).
 *
 * @param type the shape
 * @param warmupSteps steps of linear warmup; -1 is 5 % of the steps
 * @param decayFraction trapezoid: part of the steps, at the end, in which the rate falls to 0
 * @param minimumFactor cosine: part of the peak that is left at the end
 */
public record ScheduleConfig(
        @Help("trapezoid (warmup, constant, linear decay to 0) or cosine") @DefaultValue("trapezoid")
        ScheduleType type,

        @Help("steps of linear warmup; -1: 5 % of all") @DefaultValue("-1") @Range(min = -1)
        int warmupSteps,

        @Help("trapezoid: part of the steps in which the rate falls to 0") @DefaultValue("0.2") @Range(min = 0, max = 1)
        double decayFraction,

        @Help("cosine: part of the peak that is left at the end") @DefaultValue("0.1") @Range(min = 0, max = 1)
        double minimumFactor) {

    /** The steps of warmup in a run of {@code steps}. */
    public int warmupSteps(int steps) {
        return warmupSteps < 0 ? (int) Math.round(0.05 * steps) : warmupSteps;
    }
}
