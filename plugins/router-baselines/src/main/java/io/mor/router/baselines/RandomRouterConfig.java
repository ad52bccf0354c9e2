package io.mor.router.baselines;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import java.util.List;

/**
 * How random routing is configured.
 *
 * @param capacity for every recursion the fraction of the sequence it takes, in (0, 1], not increasing; empty for {@code (Nr - r + 1) / Nr}
 * @param alpha the constant gate of every update
 */
public record RandomRouterConfig(
        @Help(
                "fraction of the sequence that each recursion takes, one number per recursion, not increasing; empty: (Nr-r+1)/Nr")
        @DefaultValue("[]")
        @Range(min = 0, max = 1, exclusiveMin = true)
        List<Double> capacity,

        @Help("the constant gate of every update") @DefaultValue("0.1") @Range(min = 0, exclusiveMin = true)
        double alpha) {

    /**
     * Checks what can be checked without the model.
     *
     * @throws IllegalArgumentException naming the key
     */
    public RandomRouterConfig {
        capacity = List.copyOf(capacity);
        double previous = 1;
        for (int i = 0; i < capacity.size(); i++) {
            double value = capacity.get(i);
            if (!(value > 0 && value <= 1)) {
                throw new IllegalArgumentException(
                        "router.capacity: " + value + " of recursion " + (i + 1) + " is not in (0, 1]");
            }
            if (value > previous) {
                throw new IllegalArgumentException(
                        "router.capacity: " + value + " of recursion " + (i + 1) + " is more than " + previous
                                + " of the recursion before, from whose tokens it takes its own; capacities must not increase");
            }
            previous = value;
        }
        if (!(alpha > 0) || alpha == Double.POSITIVE_INFINITY) {
            throw new IllegalArgumentException("router.alpha: " + alpha + " is not a positive number");
        }
    }
}
