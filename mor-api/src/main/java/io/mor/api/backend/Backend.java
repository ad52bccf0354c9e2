package io.mor.api.backend;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Reduction;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Memory and kernels of one device.
 *
 * <p><b>Kernels</b> write their result into a tensor they are given (the first argument, named {@code out}, or {@code d...} for gradients)
 * and return before or after it is there; transfers to the host wait. Shapes are checked by the caller (the runtime's operations), so a
 * kernel may trust them. Rows from an extent's count to its bound are neither read nor meaningful; a kernel whose operands have counted
 * extents reads the count on the device. {@code out} is never one of the inputs unless a kernel says it may be. Every kernel works for
 * zero rows. Where {@code accumulate} is true the result is added to what {@code out} holds, else it replaces it.
 *
 * <p><b>Row independence</b>: a row's result does not depend on which other rows are in the call, bit for bit, except in the
 * kernels that reduce over rows. <b>Determinism</b>: the same inputs give the same bits, whatever the number of threads.
 * A backend that drops the first promise for speed says so in {@link #rowIndependent()}; the second holds always.
 *
 * <p>Methods without a default are tier 1: a new backend needs those alone. Methods with a default are tier 2: fused forms that a backend
 * may override for speed; a default is composed of tier 1.
 *
 * <p>Thread safety: a backend is used by one thread at a time; different backends are independent.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface Backend extends AutoCloseable {

    // ---- identity

    /** One line for people: device, instruction set, threads. */
    String description();

    /** The precision of a {@link Tensor}'s elements: of all but what {@link #activationPrecision} says otherwise. */
    Precision precision();

    /**
     * The precision in which results of layers are kept, and their gradients: {@link #precision} unless the backend keeps them in less. Weights,
     * their gradients, the optimizer's moments and statistics (of norms, softmax, losses) always have {@link #precision}. Kernels take operands of
     * either precision and calculate in {@link #precision}.
     *
     * @param columns of the result; a backend may keep narrow ones, such as logits of a router and gates, in full
     */
    default Precision activationPrecision(int columns) {
        return precision();
    }

    /**
     * Whether the backend keeps <b>row independence</b>. If false, the bits of a row may depend on the number of rows in the call and on its place
     * among them, within rounding: prefill and token-by-token decoding then agree in value and no longer bit for bit, and so do one text
     * generated alone and among others. Determinism stays.
     */
    default boolean rowIndependent() {
        return true;
    }

    // ---- memory

    /**
     * Memory for {@code [rows, columns]}, contents unspecified. Zero rows are allowed.
     *
     * @throws OutOfMemoryError if there is not enough, saying what was asked and what is held
     */
    Tensor allocate(int rows, int columns);

    /**
     * As above, in {@link #precision} or in {@link #activationPrecision}.
     *
     * @throws IllegalArgumentException if this backend keeps nothing in that precision
     */
    default Tensor allocate(int rows, int columns, Precision precision) {
        if (precision != precision()) {
            throw new IllegalArgumentException(
                    "this backend keeps tensors in " + precision() + ", not in " + precision + ": " + description());
        }
        return allocate(rows, columns);
    }

    /** Memory for {@code length} integers, contents unspecified. */
    IntTensor allocateInts(int length);

    /**
     * The same memory seen from row {@code firstRow}, with another extent and possibly another number of columns; shares the values, owns
     * nothing. With other columns {@code firstRow} counts rows of the view. The elements must lie within {@code base}.
     */
    Tensor view(Tensor base, int firstRow, Extent extent, int columns);

    /** Elements {@code first .. first + length} of {@code base}; shares the values, owns nothing. */
    IntTensor view(IntTensor base, int first, int length);

    /** Gives a tensor's memory back; it and its views must not be used again. Views are not released. */
    void release(Tensor tensor);

    /** Gives a vector's memory back. */
    void release(IntTensor tensor);

    /** Bytes of the device's memory that nobody holds now; empty if the backend cannot tell, or lives in the host's memory. */
    default OptionalLong availableBytes() {
        return OptionalLong.empty();
    }

    /**
     * Bytes that the backend will hold by itself, beside what is allocated, while a model is trained: copies of weights in a format of its own,
     * working memory of kernels. An estimate that is rather too high.
     *
     * @param parameters trained values of the model
     */
    default long ownBytes(long parameters) {
        return 0;
    }

    // ---- transfers; these wait for what was started before

    /** Sets all {@code rows * columns} elements (rows is the bound). */
    void write(Tensor tensor, float[] values);

    /** Sets all elements, rounding to this backend's precision. */
    void write(Tensor tensor, double[] values);

    /** Sets all elements. */
    void write(IntTensor tensor, int[] values);

    /** All {@code rows * columns} elements. */
    float[] readFloats(Tensor tensor);

    /** All {@code rows * columns} elements. */
    double[] readDoubles(Tensor tensor);

    /** All elements. */
    int[] readInts(IntTensor tensor);

    // ---- tier 1: element-wise (out may be an input)

    /** {@code out = value}, all elements up to the bound. */
    void fill(Tensor out, double value);

    /** {@code out = value}, all elements. */
    void fill(IntTensor out, int value);

    /** {@code out = x}. */
    void copy(Tensor out, Tensor x);

    /** {@code out (+)= scale * x + shift}. */
    void affine(Tensor out, Tensor x, double scale, double shift, boolean accumulate);

    /** {@code out = a + scaleB * b}. */
    void add(Tensor out, Tensor a, Tensor b, double scaleB);

    /** {@code out (+)= a * b}. */
    void multiply(Tensor out, Tensor a, Tensor b, boolean accumulate);

    /** {@code out = f(x)}. */
    void unary(Tensor out, Unary function, Tensor x);

    /** {@code dx (+)= f'(x) * dy}; {@code y = f(x)} is there to save work. */
    void unaryBackward(Tensor dx, Unary function, Tensor x, Tensor y, Tensor dy, boolean accumulate);

    /** {@code out = 1} where the comparison of x with {@code row [1, columns]} holds, else 0. */
    void compare(Tensor out, Tensor x, Comparison comparison, Tensor row);

    /** {@code out = 1} where the comparison of corresponding elements holds, else 0. */
    void compareElements(Tensor out, Tensor a, Comparison comparison, Tensor b);

    // ---- tier 1: rows and columns

    /** {@code out (+)= x * factors} with {@code factors [rows, 1]}. */
    void scaleRows(Tensor out, Tensor x, Tensor factors, boolean accumulate);

    /** {@code out = x + row} for every row, {@code row [1, columns]}. */
    void addRow(Tensor out, Tensor x, Tensor row);

    /** {@code out (+)= x * row} for every row, {@code row [1, columns]}. */
    void multiplyRow(Tensor out, Tensor x, Tensor row, boolean accumulate);

    /** {@code out [rows, columns] (+)= column [rows, 1]} in every column. */
    void broadcastColumn(Tensor out, Tensor column, boolean accumulate);

    /** {@code out [rows, columns] (+)= scale * row [1, columns]} in every row of out's extent. */
    void broadcastRow(Tensor out, Tensor row, double scale, boolean accumulate);

    /** {@code out [rows, 1] (+)= } sums of the rows. */
    void rowSum(Tensor out, Tensor x, boolean accumulate);

    /** {@code out [rows, 1] (+)= a . b} per row. */
    void rowDot(Tensor out, Tensor a, Tensor b, boolean accumulate);

    /** {@code out [rows, 1] = ln sum exp} per row. */
    void rowLogSumExp(Tensor out, Tensor x);

    /** {@code out [1, columns] (+)= scale * } sums of the columns over the rows, in a fixed order. */
    void columnSum(Tensor out, Tensor x, double scale, boolean accumulate);

    /** {@code out [1, columns] (+)= scale * } sums over the rows of {@code a * b}, in a fixed order. */
    void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate);

    /** {@code out [1, 1] = 1 / max(1, rows)} of an extent: what turns a sum over counted rows into a mean. */
    void reciprocalCount(Tensor out, Extent extent);

    /** {@code out [1, 1] (+)= } the sum of squares of all elements, in a fixed order. */
    void sumOfSquares(Tensor out, Tensor x, boolean accumulate);

    /** Softmax of every row. */
    void softmax(Tensor out, Tensor x);

    /** {@code dx (+)= y * (dy - (dy . y))} per row. */
    void softmaxBackward(Tensor dx, Tensor y, Tensor dy, boolean accumulate);

    /** The index of the largest element of every row, the lowest of equals; NaN counts as smallest. */
    void argMax(IntTensor out, Tensor x);

    // ---- tier 1: gather and scatter

    /** {@code out[i] (+)= x[index[i]]} for the rows of out's extent. */
    void gatherRows(Tensor out, Tensor x, IntTensor index, boolean accumulate);

    /** {@code out[index[i]] = x[i]} for the rows of x's extent; every index at most once, rows with a negative index are skipped. Other rows of out stay. */
    void scatterRows(Tensor out, IntTensor index, Tensor x);

    /** {@code out[index[i]] += x[i]} for the rows of x's extent, repeated indices in ascending i. Other rows of out stay. */
    void scatterAddRows(Tensor out, IntTensor index, Tensor x);

    /** {@code out[i] [rows, 1] = x[i, column[i]]}. */
    void pickColumn(Tensor out, Tensor x, IntTensor column);

    /** {@code dx[i, column[i]] += dy[i]}. */
    void pickColumnBackward(Tensor dx, IntTensor column, Tensor dy);

    /** {@code out[i] = table[index[i]]} for the rows of the extent. */
    void gatherInts(IntTensor out, IntTensor table, IntTensor index, Extent extent);

    /** {@code out[i, 0] = values[i]} for the rows of out's extent. */
    void toColumn(Tensor out, IntTensor values);

    // ---- tier 1: selection

    /** As {@link io.mor.api.tensor.Ops#topKMask}. NaN scores count as smallest. */
    void topKMask(Tensor out, Tensor scores, IntTensor offsets, IntTensor k);

    /** As {@link io.mor.api.tensor.Ops#reduceGroups}; {@code out [groups, 1]}. */
    void reduceGroups(Tensor out, Reduction reduction, Tensor x, IntTensor offsets);

    /** Ascending indices of the rows with a positive mask {@code [rows, 1]} into {@code index}, their number into {@code count[0]}. */
    void compact(IntTensor index, IntTensor count, Tensor mask);

    /**
     * Group offsets after a selection: {@code out[g] = } the number of selected rows before {@code offsets[g]}.
     *
     * @param index ascending, of {@code selected} rows
     */
    void compactOffsets(IntTensor out, IntTensor index, Extent selected, IntTensor offsets);

    /** {@code out[i, 0] = key.uniform(high[i], low[i])} for the rows of out's extent. */
    void uniformRows(Tensor out, RandomKey key, IntTensor high, IntTensor low);

    /** {@code out[i] = key.uniform(0, i)} for every element. */
    void uniform(Tensor out, RandomKey key);

    // ---- tier 1: layers

    /**
     * {@code out (+)= op(a) @ op(b)}, where op transposes if told. If a is not transposed its extent is that of out; if it is, the rows of
     * a (and of b) up to a's count are summed over.
     */
    void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate);

    /** As {@link io.mor.api.tensor.Ops#rmsNorm}; {@code rstd [rows, 1]} receives {@code 1 / sqrt(mean(x^2) + epsilon)}. */
    void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon);

    /** Gradients of {@link #rmsNorm}: {@code dx (+)=}, and {@code dweight +=} always. */
    void rmsNormBackward(
            Tensor dx,
            Tensor dweight,
            Tensor x,
            Tensor rstd,
            Tensor weight,
            Optional<IntTensor> variant,
            Tensor dy,
            boolean accumulate);

    /** As {@link io.mor.api.tensor.Ops#rope}; {@code inverse} rotates back, which is the gradient. out may be x. */
    void rope(Tensor out, Tensor x, IntTensor position, int headDim, double theta, boolean inverse);

    /** As {@link io.mor.api.tensor.Ops#attention}; {@code logSumExp [rows, heads]} receives the softmax's statistics. */
    void attention(
            Tensor out,
            Tensor logSumExp,
            Tensor queries,
            Tensor keys,
            Tensor values,
            AttentionRanges ranges,
            AttentionShape shape);

    /**
     * Gradients of {@link #attention} for ranges without a table. {@code dqueries} is set; {@code dkeys} and {@code dvalues} are added to.
     * Query rows of one sequence are neighbours and their ranges start and end in ascending order.
     */
    void attentionBackward(
            Tensor dqueries,
            Tensor dkeys,
            Tensor dvalues,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            AttentionRanges ranges,
            AttentionShape shape);

    /**
     * For query rows with sequences and positions, the range of keys that each sees: {@code start[i] = keyOffsets[s]} and {@code end[i]} =
     * the first key of that sequence whose position is greater. With a window w &gt; 0, start is the first key whose position is greater than
     * the query's minus w.
     */
    void causalRanges(
            IntTensor start,
            IntTensor end,
            IntTensor querySequence,
            IntTensor queryPosition,
            Extent queries,
            IntTensor keyOffsets,
            IntTensor keyPosition,
            int window);

    /** Per row {@code -ln softmax(logits)[target]}, {@code out [rows, 1]}. */
    void crossEntropy(Tensor out, Tensor logits, IntTensor target);

    /** {@code dlogits = (softmax(logits) - onehot(target)) * dy [rows, 1]}; dlogits may be logits. */
    void crossEntropyBackward(Tensor dlogits, Tensor logits, IntTensor target, Tensor dy);

    // ---- tier 1: generation's entry tables

    /**
     * Enters rows into the tables of {@link EntryTables}: row i of the batch, of sequence slot s at recursion r, gets the next free reserved
     * pool row; see there.
     *
     * @param poolRow receives for every row of the extent where its keys and values go
     */
    void appendEntries(
            IntTensor poolRow,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent);

    /** The ranges of {@link EntryTables} that the rows of a batch see; see there. */
    void entryRanges(
            IntTensor start,
            IntTensor end,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent);

    // ---- tier 1: optimizer

    /**
     * One AdamW step (decoupled decay) on {@code parameter}, element by element: the bits do not depend on where an element lies. {@code
     * gradientScale [1, 1]} multiplies the gradient first; if it is not finite, all four tensors stay as they are, so that a failed step leaves no
     * trace without the host's help.
     */
    void adamW(
            Tensor parameter,
            Tensor gradient,
            Tensor firstMoment,
            Tensor secondMoment,
            Tensor gradientScale,
            AdamWStep step);

    // ---- tier 2

    /** {@code out = silu(gate) * up}. */
    default void swiGlu(Tensor out, Tensor gate, Tensor up) {
        unary(out, Unary.SILU, gate);
        multiply(out, out, up, false);
    }

    /** Gradients of {@link #swiGlu}, both set: {@code dgate = silu'(gate) * up * dy}, {@code dup = silu(gate) * dy}. */
    default void swiGluBackward(Tensor dgate, Tensor dup, Tensor gate, Tensor up, Tensor dy) {
        unary(dup, Unary.SILU, gate);
        multiply(dgate, up, dy, false);
        unaryBackward(dgate, Unary.SILU, gate, dup, dgate, false);
        multiply(dup, dup, dy, false);
    }

    /** {@code out = base + op(a) @ op(b)}, as {@link #matmul}; out may be base. */
    default void matmulAdd(Tensor out, Tensor base, Tensor a, boolean transposeA, Tensor b, boolean transposeB) {
        copy(out, base);
        matmul(out, a, transposeA, b, transposeB, true);
    }

    /** Several linear layers of the same rows: {@code outs[i] = x @ weight[i]T}, rotated where the projection says so. */
    default void linears(List<Tensor> outs, Tensor x, List<Ops.Projection> projections) {
        for (int i = 0; i < outs.size(); i++) {
            Tensor out = outs.get(i);
            matmul(out, x, false, projections.get(i).weight(), true, false);
            projections
                    .get(i)
                    .rotation()
                    .ifPresent(rotation ->
                            rope(out, out, rotation.position(), rotation.headDim(), rotation.theta(), false));
        }
    }

    /**
     * Gradients of {@link #linears}: {@code dx} is set.
     *
     * @param dweights added to; empty where none is wanted
     * @param douts what arrives at the results; changed by this
     */
    default void linearsBackward(
            Tensor dx,
            List<Optional<Tensor>> dweights,
            Tensor x,
            List<Ops.Projection> projections,
            List<Tensor> douts) {
        for (int i = 0; i < douts.size(); i++) {
            Tensor dout = douts.get(i);
            Ops.Projection projection = projections.get(i);
            projection
                    .rotation()
                    .ifPresent(rotation ->
                            rope(dout, dout, rotation.position(), rotation.headDim(), rotation.theta(), true));
            dweights.get(i).ifPresent(dweight -> matmul(dweight, dout, true, x, false, true));
            matmul(dx, dout, false, projection.weight(), false, i > 0);
        }
    }

    /** The two layers of a gated feed-forward and what they make: {@code gate = x @ gateWeightT}, {@code up = x @ upWeightT}, {@code inner = silu(gate) * up}. */
    default void gatedLinears(Tensor gate, Tensor up, Tensor inner, Tensor x, Tensor gateWeight, Tensor upWeight) {
        matmul(gate, x, false, gateWeight, true, false);
        matmul(up, x, false, upWeight, true, false);
        swiGlu(inner, gate, up);
    }

    /**
     * {@link #linears} of what {@link #rmsNorm} makes of rows. A backend may multiply the rows as they are by weights times the norm's, and the results
     * by rstd: the values are the same within rounding.
     *
     * @param outs {@code [rows, rows of the projection's weight]} each, written
     * @param normed memory like the norm's rows: receives the normed rows if they are wanted; else what it holds afterwards is unspecified
     * @param norm the rows {@code [rows, columns]}, the norm's weight, and memory {@code [rows, 1]} for its {@code rstd}, which is written
     * @param projections of the normed rows, their weights {@code [width, columns]}
     */
    default void normedLinears(
            List<Tensor> outs, Tensor normed, boolean wantsNormed, Ops.Norm norm, List<Ops.Projection> projections) {
        rmsNorm(normed, norm.rstd(), norm.x(), norm.weight(), norm.variant(), norm.epsilon());
        linears(outs, normed, projections);
    }

    /**
     * {@link #gatedLinears} of what {@link #rmsNorm} makes of rows, as {@link #normedLinears}.
     *
     * @param gate {@code [rows, feedForward]}, written, as are up and inner
     * @param normed as {@link #normedLinears} takes it, and so {@code wantsNormed} and {@code norm}
     * @param gateWeight {@code [feedForward, columns]}, as is upWeight
     */
    default void normedGatedLinears(
            Tensor gate,
            Tensor up,
            Tensor inner,
            Tensor normed,
            boolean wantsNormed,
            Ops.Norm norm,
            Tensor gateWeight,
            Tensor upWeight) {
        rmsNorm(normed, norm.rstd(), norm.x(), norm.weight(), norm.variant(), norm.epsilon());
        gatedLinears(gate, up, inner, normed, gateWeight, upWeight);
    }

    // Gradients of several projections of the same rows travel as one tensor [rows, sum of their widths], whose layout
    // is the backend's own: it is
    // written by one of the next three methods and read by those after them, all given the same projections. By default
    // the gradients lie one after
    // the other.

    /**
     * What arrives at gate and up of {@link #gatedLinears} when {@code dout} arrives at {@code inner @ downT}.
     *
     * @param packed receives it, {@code [rows, 2 * columns of gate]}
     * @param inner receives {@code silu(gate) * up} again if it is wanted, the same bits as on the way forward; else what it holds is unspecified
     * @param down {@code [columns of dout, columns of gate]}
     * @param projections of gate and up, not rotated
     */
    default void gatedLinearsGradient(
            Tensor packed,
            Tensor inner,
            boolean wantsInner,
            Tensor gate,
            Tensor up,
            Tensor dout,
            Tensor down,
            List<Ops.Projection> projections) {
        List<Tensor> parts = oneAfterTheOther(packed, projections);
        matmul(inner, dout, false, down, false, false);
        swiGluBackward(parts.get(0), parts.get(1), gate, up, inner);
        if (wantsInner) {
            swiGlu(inner, gate, up);
        }
    }

    /**
     * What arrives at the projections that made queries, keys and values of the same rows, before they were rotated, when {@code dout} arrives at
     * their attention.
     *
     * @param packed receives it, {@code [rows, queryWidth + 2 * kvWidth]}
     * @param projections of queries, keys and values
     */
    default void attentionGradient(
            Tensor packed,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            AttentionRanges ranges,
            AttentionShape shape,
            List<Ops.Projection> projections) {
        List<Tensor> parts = oneAfterTheOther(packed, projections);
        attentionBackward(
                parts.get(0),
                parts.get(1),
                parts.get(2),
                queries,
                keys,
                values,
                out,
                logSumExp,
                dout,
                ranges,
                shape,
                false);
        for (int i = 0; i < parts.size(); i++) {
            Tensor part = parts.get(i);
            projections
                    .get(i)
                    .rotation()
                    .ifPresent(rotation ->
                            rope(part, part, rotation.position(), rotation.headDim(), rotation.theta(), true));
        }
    }

    /**
     * {@link #attentionGradient} when {@code dy} arrives at {@code out @ outputT}.
     *
     * @param dout memory like {@code out} for what arrives there; what it holds afterwards is unspecified
     * @param dy {@code [rows, width]}
     * @param output {@code [width, columns of out]}: the weight behind the attention
     */
    default void attentionGradientThroughOutput(
            Tensor packed,
            Tensor dout,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dy,
            Tensor output,
            AttentionRanges ranges,
            AttentionShape shape,
            List<Ops.Projection> projections) {
        matmul(dout, dy, false, output, false, false);
        attentionGradient(packed, queries, keys, values, out, logSumExp, dout, ranges, shape, projections);
    }

    /** What arrives at the rows that the projections were made of: {@code dx} is set. */
    default void packedInputGradient(Tensor dx, Tensor packed, List<Ops.Projection> projections) {
        List<Tensor> parts = oneAfterTheOther(packed, projections);
        for (int i = 0; i < parts.size(); i++) {
            matmul(dx, parts.get(i), false, projections.get(i).weight(), false, i > 0);
        }
    }

    /**
     * What arrives at the projections' weights.
     *
     * @param dweights of the shapes of the projections' weights: set, or added to with {@code accumulate}; empty where none is wanted
     * @param x the rows that the projections were made of
     */
    default void packedWeightGradients(
            List<Optional<Tensor>> dweights,
            Tensor packed,
            Tensor x,
            List<Ops.Projection> projections,
            boolean accumulate) {
        List<Tensor> parts = oneAfterTheOther(packed, projections);
        for (int i = 0; i < parts.size(); i++) {
            Tensor part = parts.get(i);
            dweights.get(i).ifPresent(dweight -> matmul(dweight, part, true, x, false, accumulate));
        }
    }

    private List<Tensor> oneAfterTheOther(Tensor packed, List<Ops.Projection> projections) {
        List<Tensor> parts = new ArrayList<>();
        long before = 0;
        for (Ops.Projection projection : projections) {
            int width = projection.weight().rows();
            parts.add(view(packed, Math.toIntExact(before / width), packed.extent(), width));
            before += (long) packed.rows() * width;
        }
        return parts;
    }

    /**
     * As {@link #rmsNormBackward(Tensor, Tensor, Tensor, Tensor, Tensor, Optional, Tensor, boolean)}, and {@code normed} receives {@link #rmsNorm}
     * again, the bits that it gives for these rows; {@code rstd} becomes its own.
     */
    default void rmsNormBackward(
            Tensor dx,
            Tensor dweight,
            Tensor normed,
            Tensor x,
            Tensor rstd,
            Tensor weight,
            Optional<IntTensor> variant,
            double epsilon,
            Tensor dy,
            boolean accumulate) {
        rmsNorm(normed, rstd, x, weight, variant, epsilon);
        rmsNormBackward(dx, dweight, x, rstd, weight, variant, dy, accumulate);
    }

    /**
     * {@link #packedInputGradient} of projections of a norm's result, and what arrives at the norm's rows and weight with it, as
     * {@link #rmsNormBackward(Tensor, Tensor, Tensor, Tensor, Tensor, Optional, Tensor, boolean)}.
     *
     * @param dx {@code [rows, columns]} of the norm's rows: set, or added to with {@code accumulate}
     * @param dweight in the shape of the norm's weight, always added to
     * @param normed receives the normed rows again, as {@link #rmsNorm} or {@link #normedLinears} made or would have made them, if it is there; otherwise
     *     nothing changes
     * @param dnormed memory like {@code dx} for what arrives at the norm's result; what it holds afterwards is unspecified
     * @param packed as {@link #packedInputGradient} takes it, of projections of what {@link #rmsNorm} gave for these rows, with what they gave: what they
     *     gave and what arrives at it may stand for the product of the two rows that the norm's gradient needs
     */
    default void packedInputGradientThroughNorm(
            Tensor dx,
            Tensor dweight,
            Optional<Tensor> normed,
            Tensor dnormed,
            Tensor packed,
            List<Ops.Projection> projections,
            Ops.Norm norm,
            boolean accumulate) {
        packedInputGradient(dnormed, packed, projections);
        if (normed.isPresent()) {
            rmsNormBackward(
                    dx,
                    dweight,
                    normed.get(),
                    norm.x(),
                    norm.rstd(),
                    norm.weight(),
                    norm.variant(),
                    norm.epsilon(),
                    dnormed,
                    accumulate);
        } else {
            rmsNormBackward(dx, dweight, norm.x(), norm.rstd(), norm.weight(), norm.variant(), dnormed, accumulate);
        }
    }

    /** {@link #crossEntropy} into {@code out}, and {@link #crossEntropyBackward} over the logits. */
    default void crossEntropyGradient(Tensor out, Tensor logits, IntTensor target, Tensor dy) {
        crossEntropy(out, logits, target);
        crossEntropyBackward(logits, logits, target, dy);
    }

    /** Elements of logits that a loss over a vocabulary should hold at a time: enough to keep the device busy, no more than its memory can spare. */
    default long logitsAtATime() {
        return 4L << 20;
    }

    /**
     * As {@link #attentionBackward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, AttentionRanges, AttentionShape)};
     * without {@code accumulate}, {@code dkeys} and {@code dvalues} are set too.
     */
    default void attentionBackward(
            Tensor dqueries,
            Tensor dkeys,
            Tensor dvalues,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            AttentionRanges ranges,
            AttentionShape shape,
            boolean accumulate) {
        if (!accumulate) {
            fill(dkeys, 0);
            fill(dvalues, 0);
        }
        attentionBackward(dqueries, dkeys, dvalues, queries, keys, values, out, logSumExp, dout, ranges, shape);
    }

    /**
     * {@code out = base} with {@code gate * x} added to the rows at {@code index}, each at most once; gate {@code [rows, 1]}, empty for 1. out may be
     * base.
     */
    default void addToRows(Tensor out, Tensor base, IntTensor index, Tensor x, Optional<Tensor> gate) {
        if (out != base) {
            copy(out, base);
        }
        if (gate.isEmpty()) {
            scatterAddRows(out, index, x);
            return;
        }
        Tensor gated = allocate(x.rows(), x.columns());
        try {
            Tensor counted = view(gated, 0, x.extent(), x.columns());
            scaleRows(counted, x, gate.get(), false);
            scatterAddRows(out, index, counted);
        } finally {
            release(gated);
        }
    }

    /** {@code out [1, 1] = } the sum of squares of all elements of all tensors, in a fixed order. */
    default void sumOfSquares(Tensor out, List<Tensor> tensors) {
        fill(out, 0);
        tensors.forEach(tensor -> sumOfSquares(out, tensor, true));
    }

    /**
     * {@code out [1, 1] = min(1, maxNorm / (sqrt(sumOfSquares) + 1e-6))}, or 1 for {@code maxNorm = 0}: the factor of norm clipping, without
     * the host.
     */
    default void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        fill(out, maxNorm == 0 ? 1 : 0);
        if (maxNorm == 0) {
            return;
        }
        Tensor excess = allocate(1, 1);
        Tensor exceeds = allocate(1, 1);
        try {
            unary(excess, Unary.SQRT, sumOfSquares);
            affine(excess, excess, 1 / maxNorm, 1e-6 / maxNorm - 1, false);
            compare(exceeds, excess, Comparison.GREATER, out);
            multiply(excess, excess, exceeds, false); // 0 * NaN stays NaN: a norm that is none is seen
            affine(excess, excess, 1, 1, false);
            unary(out, Unary.RECIPROCAL, excess);
        } finally {
            release(excess);
            release(exceeds);
        }
    }

    // ---- tier 2: without waiting

    /**
     * All elements as they will be when what was started before has ended. The host waits when it asks for the values, not here. The tensor may be
     * written again at once.
     */
    default HostCopy readLater(Tensor tensor) {
        return HostCopy.of(readDoubles(tensor));
    }

    /**
     * Runs {@code work}, which the caller expects to call the same kernels on memory of the same places as when it last ran under this key.
     * A backend may keep the calls back until {@code work} returns or reads a value, and hand them to its device as one. That is the only difference:
     * the values are those of {@code work.run()} always, also when the calls are not the same, and reading within {@code work} is allowed, though
     * slow. Calls are not nested.
     *
     * @param key equal for runs that are alike; at most a few different ones at a time
     */
    default void repeated(Object key, Runnable work) {
        work.run();
    }

    /** Frees everything that is still held. */
    @Override
    void close();
}
