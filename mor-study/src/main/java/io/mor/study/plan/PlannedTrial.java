package io.mor.study.plan;

import io.mor.runtime.config.ExperimentConfig;
import io.mor.study.StudyResults.Kind;
import io.mor.study.StudyResults.Plan;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * A trial that a study asks for.
 *
 * @param id a hash of what it is made of: a changed study keeps the trials whose ids stay
 * @param kind whether it trains or measures
 * @param parent the trial whose model it measures; for an evaluation
 * @param variant what it is called, without the seed
 * @param axes axis to value, as texts
 * @param config resolved; its run folder is the trial's
 * @param plan what it costs
 */
public record PlannedTrial(
        String id,
        Kind kind,
        Optional<String> parent,
        String variant,
        Map<String, String> axes,
        ExperimentConfig config,
        Plan plan) {

    /** Copies the axes, in their order. */
    public PlannedTrial {
        axes = Collections.unmodifiableMap(new LinkedHashMap<>(axes));
    }
}
