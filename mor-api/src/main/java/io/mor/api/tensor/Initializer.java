package io.mor.api.tensor;

import io.mor.api.plugin.Stability;

/**
 * How a parameter or buffer starts.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public sealed interface Initializer {

    /**
     * Every element the same.
     *
     * @param value the value
     */
    record Constant(double value) implements Initializer {}

    /**
     * Independent normal numbers around 0.
     *
     * @param standardDeviation their standard deviation, at least 0
     */
    record Normal(double standardDeviation) implements Initializer {}

    /** Normal with the model's {@code initializer-range} (spec 5.1). */
    record ModelDefault() implements Initializer {}
}
