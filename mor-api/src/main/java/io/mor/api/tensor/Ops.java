package io.mor.api.tensor;

import io.mor.api.plugin.Stability;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * The differentiable operations that routers, blocks and selectors are written in. Who writes with them never writes a backward pass,
 * never learns which device runs them and never reads a value on the host.
 *
 * <p>Shapes are explicit: nothing is broadcast but what an operation's name says. Every operation returns a new tensor that lives as long
 * as the call; arguments are never changed. Where a row operation has operands with rows, their extents must be the same; the result has
 * that extent. A shape that does not fit is an {@link IllegalArgumentException} that names the operation and both shapes.
 *
 * <p>Thread safety: as {@link CallContext}, one thread, one call.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface Ops {

    // ---- matrix product

    /** {@code x @ weightT}: {@code [rows, in]} with a weight {@code [out, in]} gives {@code [rows, out]}. */
    Tensor linear(Tensor x, Tensor weight);

    // ---- element-wise

    /** {@code a + b}, same shapes. */
    Tensor add(Tensor a, Tensor b);

    /** {@code a - b}, same shapes. */
    Tensor subtract(Tensor a, Tensor b);

    /** {@code a * b} element by element, same shapes. */
    Tensor multiply(Tensor a, Tensor b);

    /** {@code scale * x + shift} with constants. */
    Tensor affine(Tensor x, double scale, double shift);

    /** {@code scale * x}. */
    default Tensor scale(Tensor x, double scale) {
        return affine(x, scale, 0);
    }

    /** A function of every element. */
    Tensor apply(Unary function, Tensor x);

    /** {@code silu(gate) * up}, same shapes. */
    default Tensor swiGlu(Tensor gate, Tensor up) {
        return multiply(apply(Unary.SILU, gate), up);
    }

    /** Every row of {@code x [rows, columns]} times its element of {@code factors [rows, 1]}. */
    Tensor scaleRows(Tensor x, Tensor factors);

    /** {@code x [rows, columns] + row [1, columns]} for every row. */
    Tensor addRow(Tensor x, Tensor row);

    /** {@code x [rows, columns] * row [1, columns]} for every row. */
    Tensor multiplyRow(Tensor x, Tensor row);

    /** Zeroes elements with probability {@code p} and divides the others by {@code 1 - p}; {@code x} itself outside training or for p = 0. */
    Tensor dropout(Tensor x, double p, RandomKey key);

    // ---- reductions

    /** Sums of the rows: {@code [rows, 1]}. */
    Tensor rowSum(Tensor x);

    /** {@code ln sum exp} of every row: {@code [rows, 1]}. */
    Tensor rowLogSumExp(Tensor x);

    /** Dot products of corresponding rows of {@code a} and {@code b}: {@code [rows, 1]}. */
    Tensor rowDot(Tensor a, Tensor b);

    /** Softmax of every row. */
    Tensor softmax(Tensor x);

    /** Means of the columns over all rows: {@code [1, columns]}; 0 where there are no rows. */
    Tensor columnMean(Tensor x);

    /** Sums of the columns over all rows: {@code [1, columns]}. */
    Tensor columnSum(Tensor x);

    /** The mean of all elements: {@code [1, 1]}. */
    default Tensor mean(Tensor x) {
        return x.columns() == 1 ? columnMean(x) : scale(rowSum(columnMean(x)), 1.0 / x.columns());
    }

    // ---- rows and columns

    /** The rows of {@code x} at {@code index}, in that order; the result has the extent {@code extent}. Gradients of a repeated row add up. */
    Tensor gatherRows(Tensor x, IntTensor index, Extent extent);

    /** As above, of rows none of which is there twice. */
    default Tensor gatherRows(Tensor x, Rows rows) {
        return gatherRows(x, rows.index(), rows.extent());
    }

    /** A copy of {@code base} whose rows at {@code index} (each at most once) are the rows of {@code x}. */
    Tensor replaceRows(Tensor base, IntTensor index, Tensor x);

    /**
     * A copy of {@code base} to whose rows at {@code index} (each at most once) {@code gate * x} is added.
     *
     * @param gate {@code [rows of x, 1]}; empty for 1
     */
    Tensor addToRows(Tensor base, IntTensor index, Tensor x, Optional<Tensor> gate);

    /** The element of every row at the column that {@code column [rows]} names: {@code [rows, 1]}. */
    Tensor pickColumn(Tensor x, IntTensor column);

    /** Rows {@code first .. first + extent.bound} of {@code x} as a tensor of that extent. */
    Tensor sliceRows(Tensor x, int first, Extent extent);

    /** Tensors with exact extents one below the other. */
    Tensor concatRows(List<Tensor> parts);

    // ---- layers

    /**
     * RMSNorm (spec 0.3): {@code x / sqrt(mean(x^2) + epsilon) * weight}.
     *
     * @param weight {@code [variants, columns]}
     * @param variant for every row which row of {@code weight} applies, {@code [rows]}; empty for row 0
     */
    Tensor rmsNorm(Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon);

    /**
     * Rotary position embedding, halves rotated (spec 4.3): in every head element {@code i} pairs with {@code i + headDim/2}.
     *
     * @param x {@code [rows, heads * headDim]}
     * @param position original positions, {@code [rows]}
     */
    Tensor rope(Tensor x, IntTensor position, int headDim, double theta);

    /**
     * Causal attention of query rows over key and value rows, softmax of {@code q.k / sqrt(headDim)}; with fewer key heads than query heads
     * each serves a run of consecutive query heads (GQA).
     *
     * @param queries {@code [rows, heads * headDim]}
     * @param keys {@code [key rows, kvHeads * headDim]}, already rotated
     * @param values as the keys
     * @param ranges which keys each query sees
     * @return {@code [rows, heads * headDim]}
     */
    Tensor attention(Tensor queries, Tensor keys, Tensor values, AttentionRanges ranges, AttentionShape shape);

    /**
     * A linear layer whose result may be rotated.
     *
     * @param weight {@code [out, in]}
     * @param rotation as {@link #rope} takes it; empty for none
     */
    record Projection(Tensor weight, Optional<Rotation> rotation) {}

    /**
     * A rotary position embedding, see {@link #rope}.
     *
     * @param position original positions, {@code [rows]}
     * @param headDim width of a head
     * @param theta base of the frequencies
     */
    record Rotation(IntTensor position, int headDim, double theta) {}

    /**
     * What several linear layers make of {@code rmsNorm(x, weight, variant, epsilon)}, in their order. As one operation it needs no memory for
     * what lies between, and may calculate it again for gradients.
     */
    default List<Tensor> normedLinears(
            Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, List<Projection> projections) {
        Tensor normed = rmsNorm(x, weight, variant, epsilon);
        return projections.stream()
                .map(projection -> {
                    Tensor made = linear(normed, projection.weight());
                    return projection
                            .rotation()
                            .map(rotation -> rope(made, rotation.position(), rotation.headDim(), rotation.theta()))
                            .orElse(made);
                })
                .toList();
    }

    /** {@code base + x @ weightT}, as one operation. */
    default Tensor addLinear(Tensor base, Tensor x, Tensor weight) {
        return add(base, linear(x, weight));
    }

    /**
     * A norm that is taken together with what is behind it, or was taken, as its gradient needs it.
     *
     * @param x its rows, {@code [rows, columns]}
     * @param weight {@code [1, columns]}, or a row for each variant
     * @param variant which row of the weight each row takes, {@code int [rows]}
     * @param epsilon added to the mean square
     * @param rstd {@code [rows, 1]}: {@code 1 / sqrt(mean(x^2) + epsilon)}, or memory for it where the norm is yet to be taken
     */
    record Norm(Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, Tensor rstd) {}

    /**
     * The weights of a gated feed-forward.
     *
     * @param gate {@code [feedForward, width]}
     * @param up as gate
     * @param down {@code [width, feedForward]}
     */
    record FeedForward(Tensor gate, Tensor up, Tensor down) {}

    /**
     * {@code x + swiGlu(n @ gateT, n @ upT) @ downT} where n is {@code rmsNorm(x, weight, variant, epsilon)}, as one operation, which may calculate
     * what lies between again for gradients.
     */
    default Tensor addFeedForward(
            Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon, FeedForward layers) {
        List<Tensor> gateAndUp = normedLinears(
                x,
                weight,
                variant,
                epsilon,
                List.of(
                        new Projection(layers.gate(), Optional.empty()),
                        new Projection(layers.up(), Optional.empty())));
        return addLinear(x, swiGlu(gateAndUp.get(0), gateAndUp.get(1)), layers.down());
    }

    /**
     * What a layer makes of rows, as {@code layer.apply(x)}. What it calculates on the way may be calculated again for gradients instead of kept: then
     * it runs a second time, and must do the same.
     */
    default Tensor recomputable(Tensor x, UnaryOperator<Tensor> layer) {
        return layer.apply(x);
    }

    /** Per row {@code -ln softmax(logits)[target]}: {@code [rows, 1]}. */
    Tensor crossEntropy(Tensor logits, IntTensor target);

    /**
     * Per row the cross-entropy of {@code rows @ headT} at {@code target}, without holding all logits: {@code [rows, 1]}.
     *
     * @param head {@code [vocabulary, width]}
     */
    default Tensor headCrossEntropy(Tensor rows, Tensor head, IntTensor target) {
        return crossEntropy(linear(rows, head), target);
    }

    /** Mean over all elements of the binary cross-entropy of {@code logits} against {@code targets} in [0, 1]: {@code [1, 1]}. */
    default Tensor binaryCrossEntropy(Tensor logits, Tensor targets) {
        return mean(subtract(apply(Unary.SOFTPLUS, logits), multiply(logits, detach(targets)))); // ln(1+e^z) - z y
    }

    // ---- without gradient

    /** The same values, through which no gradient flows. */
    Tensor detach(Tensor x);

    /** 1 where the comparison of {@code x} with {@code row [1, columns]} holds in that column, else 0. No gradient. */
    Tensor compare(Tensor x, Comparison comparison, Tensor row);

    /** 1 where the comparison of {@code x} with a constant holds, else 0. No gradient. */
    Tensor compare(Tensor x, Comparison comparison, double constant);

    /** 1 where the comparison of corresponding elements holds, else 0. No gradient. */
    Tensor compareElements(Tensor a, Comparison comparison, Tensor b);

    /** The index of the largest element of every row, the lowest of equals: {@code [rows]}. */
    IntTensor argMax(Tensor x);

    /** Whole numbers as a column {@code [extent, 1]}. */
    Tensor toColumn(IntTensor values, Extent extent);

    /** The elements of {@code table} at {@code index}, for the rows of {@code extent}. */
    IntTensor gatherInts(IntTensor table, IntTensor index, Extent extent);

    /** Whole numbers that the host knows. */
    IntTensor ints(int... values);

    /** A tensor of one value. */
    Tensor constant(Extent extent, int columns, double value);

    /** Uniform numbers in [0, 1), drawn per row from (key, high[row], low[row]), so that a row's number does not depend on its batch: {@code [rows, 1]}. */
    Tensor uniformRows(RandomKey key, IntTensor high, IntTensor low, Extent extent);

    /**
     * Marks in every group the {@code k} rows with the largest scores, the lower row of equals first.
     *
     * @param scores {@code [rows, 1]}
     * @param offsets first row of each group and the end, {@code [groups + 1]}
     * @param k how many, {@code [groups]}; at most the group's rows
     * @return 1 or 0 per row
     */
    Tensor topKMask(Tensor scores, IntTensor offsets, IntTensor k);

    /** One value per group of rows: {@code x [rows, 1]} with {@code offsets [groups + 1]} gives {@code [groups, 1]}. */
    Tensor reduceGroups(Reduction reduction, Tensor x, IntTensor offsets);

    /**
     * The rows at which {@code mask [rows, 1]} is positive, ascending.
     *
     * @param exact how many there are, if the host knows
     */
    Rows compact(Tensor mask, Optional<Integer> exact);

    /**
     * Row indices.
     *
     * @param index ascending, {@code [extent.bound]}
     * @param extent how many
     */
    record Rows(IntTensor index, Extent extent) {}
}
