package io.mor.runtime.conformance;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * How a golden case compares.
 *
 * @param name of the case
 * @param worst by kind of tensor, the worst difference relative to the largest magnitude of its tensor
 * @param failures what is outside the tolerances, in words; empty if the case conforms
 */
public record ConformanceResult(String name, Map<String, Double> worst, List<String> failures) {

    /** Copies the collections. */
    public ConformanceResult {
        worst = Collections.unmodifiableMap(new LinkedHashMap<>(worst));
        failures = List.copyOf(failures);
    }

    /** Whether everything is within the tolerances. */
    public boolean conforms() {
        return failures.isEmpty();
    }
}
