package io.mor.router.baselines;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * How deep every token goes.
 *
 * @param depth recursions; 0 for all
 */
public record FixedDepthRouterConfig(
        @Help("recursions that every token runs; 0: all") @DefaultValue("0") @Range(min = 0)
        int depth) {

    /**
     * Checks the range.
     *
     * @throws IllegalArgumentException naming the key
     */
    public FixedDepthRouterConfig {
        if (depth < 0) {
            throw new IllegalArgumentException("router.depth: " + depth + " is negative");
        }
    }
}
