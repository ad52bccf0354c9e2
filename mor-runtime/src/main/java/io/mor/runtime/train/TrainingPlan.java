package io.mor.runtime.train;

import io.mor.runtime.tape.Recomputation;
import java.util.Set;
import java.util.function.LongToDoubleFunction;

/**
 * What a training run does when.
 *
 * @param steps optimizer steps of the whole run
 * @param accumulation micro-batches per step
 * @param learningRate by step, from 0
 * @param logEvery steps between reports; the last step always reports
 * @param evaluateEvery steps between evaluations; 0 for at the end only
 * @param checkpointEvery steps between checkpoints; 0 for at the end only
 * @param checkpointsKept how many are kept; older ones are deleted
 * @param recomputation what is calculated again for gradients instead of kept
 * @param keptSteps counts of steps after which a checkpoint is saved that stays
 */
public record TrainingPlan(
        long steps,
        int accumulation,
        LongToDoubleFunction learningRate,
        long logEvery,
        long evaluateEvery,
        long checkpointEvery,
        int checkpointsKept,
        Recomputation recomputation,
        Set<Long> keptSteps) {

    /** Copies the set and checks the counts. */
    public TrainingPlan {
        keptSteps = Set.copyOf(keptSteps);
        if (steps < 1
                || accumulation < 1
                || logEvery < 1
                || evaluateEvery < 0
                || checkpointEvery < 0
                || checkpointsKept < 1) {
            throw new IllegalArgumentException(
                    "a training plan needs positive steps, accumulation, log interval and kept checkpoints");
        }
    }
}
