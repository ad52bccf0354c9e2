package io.mor.study.plan;

import java.util.List;

/**
 * All that a study is going to do.
 *
 * @param study what asks for it
 * @param trials in order; an evaluation comes after the trial whose model it measures
 * @param notes what is worth knowing
 */
public record StudyPlan(StudyFile study, List<PlannedTrial> trials, List<String> notes) {

    /** Copies the lists. */
    public StudyPlan {
        trials = List.copyOf(trials);
        notes = List.copyOf(notes);
    }
}
