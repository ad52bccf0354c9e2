package com.example.earlyexit;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * The keys under {@code router:} besides its type.
 *
 * @param threshold relative change below which a token has converged
 */
public record ConvergenceConfig(
        @Help("a token exits when a recursion changed it by less than this part of its length")
        @DefaultValue("0.3")
        @Range(min = 0, max = 2)
        double threshold) {}
