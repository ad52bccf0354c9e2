package io.mor.runtime.experiment;

import java.util.List;

/** What a calibration is to reach. */
public sealed interface CalibrationTarget {

    /**
     * The share of all tokens that is to run each recursion.
     *
     * @param values one per recursion, the first 1, none larger than the one before
     */
    record Capacities(List<Double> values) implements CalibrationTarget {
        /** Copies the list. */
        public Capacities {
            values = List.copyOf(values);
        }
    }

    /**
     * The recursions that a token is to run on average.
     *
     * @param value between 1 and the model's recursions
     */
    record MeanDepth(double value) implements CalibrationTarget {}
}
