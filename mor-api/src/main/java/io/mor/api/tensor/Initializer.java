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

    /** Which factor of a product of two. */
    enum Side {
        /** The left one, {@code [out, rank]}. */
        LEFT,
        /** The right one, {@code [rank, in]}. */
        RIGHT
    }

    /**
     * When a model starts from a trained full one: one factor of the best approximation of low rank of what a layer of that has and the shared one
     * lacks (spec 1.5). Of the singular value decomposition {@code U S V^T} of the difference {@link Side#LEFT} is {@code U S}, {@link
     * Side#RIGHT} is {@code V^T}.
     *
     * @param of name of the shared parameter, {@code [out, in]}
     * @param visit the recursion, from 1, in whose place the full model has that layer
     * @param side which factor
     * @param rank number of singular values
     * @param scale factor on top
     * @param otherwise how the parameter starts without a full model
     */
    record ResidualFactor(String of, int visit, Side side, int rank, double scale, Initializer otherwise)
            implements Initializer {}

    /**
     * Lengths of the rows of another parameter {@code [out, in]} as it starts: {@code [1, out]}.
     *
     * @param of name of that parameter
     * @param visit 0: as the model has it; else, if it starts from a trained full one, as that has it in the place of this recursion
     */
    record RowNorms(String of, int visit) implements Initializer {}
}
