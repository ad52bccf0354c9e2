package io.mor.router.expertchoice;

import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * The depth that every token gets.
 *
 * @param depth recursions, from 1 to the model's
 */
public record FixedDepthConfig(
        @Help("recursions that every token runs, from 1 to the model's") @Range(min = 1)
        int depth) {

    /**
     * Checks the range.
     *
     * @throws IllegalArgumentException naming the key
     */
    public FixedDepthConfig {
        if (depth < 1) {
            throw new IllegalArgumentException("selector.depth: " + depth + " is not at least 1");
        }
    }
}
