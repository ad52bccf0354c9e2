package io.mor.router.tokenchoice;

import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Reduction;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import java.util.stream.IntStream;

/**
 * How a batch's tokens spread over the depths (spec 3.4). No gradient flows through it.
 *
 * @param choices one-hot, {@code [rows, depths]}
 */
record DepthLoad(Tensor choices) {

    /** Kept out of a logarithm's pole; below the rounding of any probability that matters. */
    private static final double TINY = 1e-30;

    /**
     * The spread of chosen depths.
     *
     * @param chosen index of each row's depth, {@code [rows]}, from 0
     */
    static DepthLoad of(Ops ops, IntTensor chosen, Extent rows, int depths) {
        Tensor inEveryColumn =
                ops.scaleRows(ops.constant(rows, depths, 1), ops.toColumn(chosen, rows)); // [rows, depths]
        Tensor index =
                ops.toColumn(ops.ints(IntStream.range(0, depths).toArray()), Extent.exact(depths)); // [depths, 1]
        Tensor row = ops.linear(ops.constant(Extent.exact(1), 1, 1), index); // [1, depths]
        return new DepthLoad(ops.compare(inEveryColumn, Comparison.EQUAL, row));
    }

    /** Tokens of each depth: {@code [1, depths]}. */
    Tensor counts(Ops ops) {
        return ops.columnSum(choices);
    }

    /** Share of the tokens that each depth got: {@code [1, depths]}. */
    Tensor shares(Ops ops) {
        return ops.columnMean(choices);
    }

    /** How far the fullest depth is above the mean, relative to the mean: {@code [1, 1]}; 0 at perfect balance. */
    Tensor maximalViolation(Ops ops) {
        int depths = choices.columns();
        Tensor repeated =
                ops.gatherRows(shares(ops), ops.ints(new int[depths]), Extent.exact(depths)); // [depths, depths]
        Tensor column =
                ops.pickColumn(repeated, ops.ints(IntStream.range(0, depths).toArray())); // [depths, 1]
        return ops.affine(
                ops.reduceGroups(Reduction.MAXIMUM, column, ops.ints(0, depths)),
                depths,
                -1); // the mean share is 1 / depths
    }

    /** Entropy in nats of mean probabilities, scaled to a sum of 1: {@code [1, 1]}. */
    static Tensor entropy(Ops ops, Tensor probabilities) {
        Tensor mean = ops.columnMean(ops.detach(probabilities)); // [1, depths]
        Tensor total = ops.affine(ops.rowSum(mean), 1, TINY);
        Tensor normalized = ops.scaleRows(mean, ops.apply(Unary.RECIPROCAL, total));
        return ops.scale(ops.rowDot(normalized, ops.apply(Unary.LOG, ops.affine(normalized, 1, TINY))), -1);
    }
}
