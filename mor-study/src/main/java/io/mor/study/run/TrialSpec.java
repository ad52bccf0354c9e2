package io.mor.study.run;

import io.mor.study.StudyResults.Kind;
import io.mor.study.StudyResults.Plan;
import io.mor.study.plan.Measures;
import java.util.Map;
import java.util.Optional;

/**
 * What a trial is to do; kept in its folder.
 *
 * @param id the trial's
 * @param kind whether it trains or measures
 * @param parent the trial whose model it measures; for an evaluation
 * @param variant what it is called, without the seed
 * @param axes axis to value
 * @param seed of everything random
 * @param config the resolved config as YAML
 * @param plan what it costs
 * @param measures what is measured at the end
 */
public record TrialSpec(
        String id,
        Kind kind,
        Optional<String> parent,
        String variant,
        Map<String, String> axes,
        long seed,
        String config,
        Plan plan,
        Measures measures) {}
