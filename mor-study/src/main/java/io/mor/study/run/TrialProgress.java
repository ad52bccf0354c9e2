package io.mor.study.run;

/** Follows a trial. Called on the thread that works. */
public interface TrialProgress {

    /** Nobody follows. */
    TrialProgress NONE = new TrialProgress() {};

    /**
     * Training goes on.
     *
     * @param done steps done
     * @param steps of the whole training
     * @param loss of the last step, nats per token
     * @param rate tokens per second
     * @param secondsLeft of training
     */
    default void step(long done, long steps, double loss, double rate, double secondsLeft) {}

    /** An evaluation during training: the causal validation loss. */
    default void evaluated(long done, double loss) {}

    /** Training is over, the model is being measured. */
    default void measuring() {}

    /** Something worth knowing. */
    default void note(String text) {}
}
