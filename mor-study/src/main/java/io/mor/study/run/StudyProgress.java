package io.mor.study.run;

import io.mor.study.StudyResults.State;
import io.mor.study.plan.PlannedTrial;

/** Follows a study; called by several threads, one at a time. */
public interface StudyProgress {

    /** Nobody follows. */
    StudyProgress NONE = new StudyProgress() {};

    /** A trial's state is another now: at the beginning for all that are done already, then as they change. */
    default void state(PlannedTrial trial, State state, String detail) {}

    /** Training goes on; see {@link TrialProgress#step}. */
    default void step(PlannedTrial trial, long done, long steps, double loss, double rate, double secondsLeft) {}

    /** An evaluation during training. */
    default void evaluated(PlannedTrial trial, long done, double loss) {}

    /** The model is being measured. */
    default void measuring(PlannedTrial trial) {}

    /** Something worth knowing. */
    default void note(String text) {}
}
