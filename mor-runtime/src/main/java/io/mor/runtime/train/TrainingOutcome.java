package io.mor.runtime.train;

import java.nio.file.Path;

/**
 * How a call of {@link Trainer#run} ended.
 *
 * @param finished whether all steps are done; if not, it was asked to stop and can be resumed
 * @param state where the run stands
 * @param checkpoint the last checkpoint, of that state
 * @param seconds time in this call, evaluation and saving included
 * @param trainingSeconds time in training steps alone
 * @param tokens tokens trained on in this call
 */
public record TrainingOutcome(
        boolean finished, TrainingState state, Path checkpoint, double seconds, double trainingSeconds, long tokens) {

    /** Tokens per second in training steps. */
    public double tokensPerSecond() {
        return trainingSeconds == 0 ? 0 : tokens / trainingSeconds;
    }
}
