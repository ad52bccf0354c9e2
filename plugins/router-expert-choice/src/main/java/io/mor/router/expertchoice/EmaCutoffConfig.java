package io.mor.router.expertchoice;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * How cut-offs are tracked.
 *
 * @param decay how much of the running mean a micro-batch leaves, in [0, 1)
 */
public record EmaCutoffConfig(
        @Help("how much of the running cut-off each micro-batch leaves")
        @DefaultValue("0.99")
        @Range(min = 0, max = 0.999999)
        double decay) {

    /**
     * Checks the range.
     *
     * @throws IllegalArgumentException naming the key
     */
    public EmaCutoffConfig {
        if (!(decay >= 0 && decay < 1)) {
            throw new IllegalArgumentException("selector.decay: " + decay + " is not in [0, 1)");
        }
    }
}
