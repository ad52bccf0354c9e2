package io.mor.study.plan;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * What is measured of every trained model, after its training.
 *
 * @param batches validation batches of the loss that ranks; 0 for all validation text
 * @param newTokens tokens generated to measure decoding; 0 leaves it out
 * @param rounds how often they are generated; the last counts, the others warm up
 * @param sampleTokens tokens of validation text that are kept with depths and scores
 */
public record Measures(
        @Help("validation batches of the final loss; 0: all validation text") @DefaultValue("0") @Range(min = 0)
        int batches,

        @Help("tokens generated to measure decoding; 0: not measured") @DefaultValue("64") @Range(min = 0)
        int newTokens,

        @Help("times they are generated; the last counts") @DefaultValue("3") @Range(min = 1)
        int rounds,

        @Help("tokens of validation text kept with depths and scores") @DefaultValue("200") @Range(min = 0)
        int sampleTokens) {}
