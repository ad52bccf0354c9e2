package io.mor.runtime.model;

/**
 * Where in its run a call stands.
 *
 * @param seed the run's seed
 * @param step optimizer step, from 0
 * @param totalSteps steps of the run
 * @param microBatch micro-batch of the run, from 0
 * @param accumulation micro-batches per step
 */
public record CallProgress(long seed, long step, long totalSteps, long microBatch, int accumulation) {

    /** For calls outside training. */
    public static CallProgress none(long seed) {
        return new CallProgress(seed, 0, 1, 0, 1);
    }
}
