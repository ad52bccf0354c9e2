package io.mor.runtime.train;

import io.mor.runtime.config.ScheduleConfig;

/**
 * The learning rate over a run, as a part of its peak (spec 5.3). Pure functions of the step, so that a resumed run follows the same curve.
 */
public sealed interface LearningRateSchedule {

    /**
     * The factor of a step.
     *
     * @param step optimizer steps done before this one, from 0; from {@link #steps} on the factor stays what it is there
     * @return in [0, 1]
     */
    double factor(long step);

    /** Optimizer steps of the run. */
    long steps();

    /** The schedule that a config says, for a run of {@code steps}. */
    static LearningRateSchedule of(ScheduleConfig config, int steps) {
        int warmup = config.warmupSteps(steps);
        return switch (config.type()) {
            case TRAPEZOID -> new Trapezoid(steps, warmup, Math.round(config.decayFraction() * steps));
            case COSINE -> new Cosine(steps, warmup, config.minimumFactor());
        };
    }

    private static double warmup(long step, long warmupSteps) {
        return step >= warmupSteps ? 1 : (double) step / warmupSteps;
    }

    private static void check(long steps, long warmupSteps) {
        if (steps < 1 || warmupSteps < 0 || warmupSteps > steps) {
            throw new IllegalArgumentException("a schedule of " + steps + " steps with " + warmupSteps + " of warmup");
        }
    }

    /**
     * Linear from 0 to 1, constant, linear to 0. Where warmup and decay overlap, the smaller counts.
     *
     * @param warmupSteps the step at which it is 1
     * @param decaySteps steps, at the end, in which it falls
     */
    record Trapezoid(long steps, long warmupSteps, long decaySteps) implements LearningRateSchedule {

        /** Checks the steps. */
        public Trapezoid {
            check(steps, warmupSteps);
            if (decaySteps < 0 || decaySteps > steps) {
                throw new IllegalArgumentException("a schedule of " + steps + " steps cannot decay over " + decaySteps);
            }
        }

        @Override
        public double factor(long step) {
            long left = Math.max(0, steps - step);
            double decay = left >= decaySteps ? 1 : (double) left / decaySteps;
            return Math.min(warmup(step, warmupSteps), decay);
        }
    }

    /**
     * Linear from 0 to 1, then half a cosine.
     *
     * @param warmupSteps the step at which it is 1
     * @param minimum the factor at the end
     */
    record Cosine(long steps, long warmupSteps, double minimum) implements LearningRateSchedule {

        /** Checks the steps. */
        public Cosine {
            check(steps, warmupSteps);
            if (!(minimum >= 0 && minimum <= 1)) {
                throw new IllegalArgumentException("a schedule cannot end at " + minimum + " of its peak");
            }
        }

        @Override
        public double factor(long step) {
            if (step < warmupSteps) {
                return warmup(step, warmupSteps);
            }
            double progress =
                    steps == warmupSteps ? 1 : Math.min(1, (double) (step - warmupSteps) / (steps - warmupSteps));
            return minimum + (1 - minimum) * 0.5 * (1 + Math.cos(Math.PI * progress));
        }
    }
}
