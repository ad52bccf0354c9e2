package io.mor.study.run;

import io.mor.study.StudyResults.TextSample;
import io.mor.study.plan.Measures;
import java.util.List;
import java.util.Map;

/**
 * What a trial found; kept in its folder when it is done.
 *
 * @param measures what was asked for
 * @param figures final figures by name, all finite
 * @param environment where it ran
 * @param samples validation text with depths and scores
 */
public record TrialOutcome(
        Measures measures, Map<String, Double> figures, Map<String, String> environment, List<TextSample> samples) {}
