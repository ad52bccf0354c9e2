package io.mor.backend.reference;

import io.mor.api.backend.AdamWStep;
import io.mor.api.backend.Backend;
import io.mor.api.backend.EntryTables;
import io.mor.api.backend.Precision;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Reduction;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import jakarta.inject.Inject;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Every kernel as a plain loop over doubles, sums in ascending order. What {@link Backend} says in a line, these loops define. Fresh memory
 * holds NaN ({@link Integer#MIN_VALUE} in vectors of integers), so that reading what nobody wrote shows. Tier 2 is left to its defaults.
 *
 * <p>Errors: memory that was released or belongs to another backend, and views, rows, columns and counts out of bounds throw and say
 * which. Thread safety: one thread at a time.
 */
public final class ReferenceBackend implements Backend {

    private final Set<Lifetime> held = Collections.newSetFromMap(new IdentityHashMap<>());

    /** A backend that holds nothing yet. */
    @Inject
    public ReferenceBackend() {}

    // ---- identity

    @Override
    public String description() {
        return "reference: plain loops in double precision, 1 thread";
    }

    @Override
    public Precision precision() {
        return Precision.FLOAT64;
    }

    // ---- memory

    @Override
    public Tensor allocate(int rows, int columns) {
        if (rows < 0 || columns < 1) {
            throw new IllegalArgumentException(
                    "a tensor [" + rows + ", " + columns + "] cannot be: rows are at least 0, columns at least 1");
        }
        long size = (long) rows * columns;
        if (size > Integer.MAX_VALUE - 8) {
            throw new OutOfMemoryError("tensor [" + rows + ", " + columns + "] is larger than a Java array; "
                    + held.size() + " allocations are held");
        }
        double[] values = new double[(int) size];
        Arrays.fill(values, Double.NaN);
        return new ReferenceTensor(
                hold("tensor [" + rows + ", " + columns + "]"), values, 0, false, Extent.exact(rows), columns);
    }

    @Override
    public IntTensor allocateInts(int length) {
        if (length < 0) {
            throw new IllegalArgumentException("a vector of " + length + " integers cannot be");
        }
        int[] values = new int[length];
        Arrays.fill(values, Integer.MIN_VALUE);
        return new ReferenceInts(hold("ints [" + length + "]"), values, 0, false, length);
    }

    @Override
    public Tensor view(Tensor base, int firstRow, Extent extent, int columns) {
        ReferenceTensor b = of(base);
        long first = (long) firstRow * columns;
        if (columns < 1 || firstRow < 0 || first + (long) extent.bound() * columns > b.size()) {
            throw new IndexOutOfBoundsException("a view [" + extent.bound() + ", " + columns + "] from row " + firstRow
                    + " does not lie within " + b);
        }
        return new ReferenceTensor(b.lifetime, b.values, b.offset + (int) first, true, extent, columns);
    }

    @Override
    public IntTensor view(IntTensor base, int first, int length) {
        ReferenceInts b = of(base);
        if (first < 0 || length < 0 || (long) first + length > b.length()) {
            throw new IndexOutOfBoundsException(
                    "a view of " + length + " elements from element " + first + " does not lie within " + b);
        }
        return new ReferenceInts(b.lifetime, b.values, b.offset + first, true, length);
    }

    @Override
    public void release(Tensor tensor) {
        ReferenceTensor t = of(tensor);
        release(t.lifetime, t.isView);
    }

    @Override
    public void release(IntTensor tensor) {
        ReferenceInts t = of(tensor);
        release(t.lifetime, t.isView);
    }

    private void release(Lifetime lifetime, boolean isView) {
        if (isView) {
            throw new IllegalArgumentException(
                    "a view of " + lifetime + " owns nothing and cannot be released; release what it views");
        }
        lifetime.end();
        held.remove(lifetime);
    }

    private Lifetime hold(String name) {
        Lifetime lifetime = new Lifetime(this, name);
        held.add(lifetime);
        return lifetime;
    }

    @Override
    public void close() {
        held.forEach(Lifetime::end);
        held.clear();
    }

    private ReferenceTensor of(Tensor tensor) {
        if (!(tensor instanceof ReferenceTensor t)) {
            throw new IllegalArgumentException(
                    tensor.getClass().getName() + " is a tensor of another backend; copy its values over");
        }
        t.lifetime.check(this);
        return t;
    }

    private ReferenceInts of(IntTensor tensor) {
        if (!(tensor instanceof ReferenceInts t)) {
            throw new IllegalArgumentException(
                    tensor.getClass().getName() + " is a vector of another backend; copy its values over");
        }
        t.lifetime.check(this);
        return t;
    }

    /** The exact number of rows. */
    private int rows(Extent extent) {
        if (extent.isExact()) {
            return extent.bound();
        }
        int count = of(extent.count().get()).get(0);
        if (count < 0 || count > extent.bound()) {
            throw new IllegalStateException(
                    "a count of " + count + " rows is not between 0 and the bound " + extent.bound());
        }
        return count;
    }

    private int rows(Tensor tensor) {
        return rows(tensor.extent());
    }

    // ---- transfers

    @Override
    public void write(Tensor tensor, float[] values) {
        ReferenceTensor t = of(tensor);
        requireLength(t.size(), values.length, t);
        for (int i = 0; i < values.length; i++) {
            t.values[t.offset + i] = values[i];
        }
    }

    @Override
    public void write(Tensor tensor, double[] values) {
        ReferenceTensor t = of(tensor);
        requireLength(t.size(), values.length, t);
        System.arraycopy(values, 0, t.values, t.offset, values.length);
    }

    @Override
    public void write(IntTensor tensor, int[] values) {
        ReferenceInts t = of(tensor);
        requireLength(t.length(), values.length, t);
        System.arraycopy(values, 0, t.values, t.offset, values.length);
    }

    @Override
    public float[] readFloats(Tensor tensor) {
        double[] values = readDoubles(tensor);
        float[] floats = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            floats[i] = (float) values[i];
        }
        return floats;
    }

    @Override
    public double[] readDoubles(Tensor tensor) {
        ReferenceTensor t = of(tensor);
        return Arrays.copyOfRange(t.values, t.offset, t.offset + t.size());
    }

    @Override
    public int[] readInts(IntTensor tensor) {
        ReferenceInts t = of(tensor);
        return Arrays.copyOfRange(t.values, t.offset, t.offset + t.length());
    }

    private static void requireLength(int expected, int given, Object target) {
        if (expected != given) {
            throw new IllegalArgumentException(
                    given + " values do not fill " + target + ", which has " + expected + " elements");
        }
    }

    // ---- tier 1: element-wise

    @Override
    public void fill(Tensor out, double value) {
        ReferenceTensor o = of(out);
        Arrays.fill(o.values, o.offset, o.offset + o.size(), value);
    }

    @Override
    public void fill(IntTensor out, int value) {
        ReferenceInts o = of(out);
        Arrays.fill(o.values, o.offset, o.offset + o.length(), value);
    }

    @Override
    public void copy(Tensor out, Tensor x) {
        ReferenceTensor from = of(x);
        eachElement(out, false, from::get);
    }

    @Override
    public void affine(Tensor out, Tensor x, double scale, double shift, boolean accumulate) {
        ReferenceTensor from = of(x);
        eachElement(out, accumulate, (row, column) -> scale * from.get(row, column) + shift);
    }

    @Override
    public void add(Tensor out, Tensor a, Tensor b, double scaleB) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        eachElement(out, false, (row, column) -> left.get(row, column) + scaleB * right.get(row, column));
    }

    @Override
    public void multiply(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        eachElement(out, accumulate, (row, column) -> left.get(row, column) * right.get(row, column));
    }

    @Override
    public void unary(Tensor out, Unary function, Tensor x) {
        ReferenceTensor from = of(x);
        eachElement(out, false, (row, column) -> Functions.value(function, from.get(row, column)));
    }

    @Override
    public void unaryBackward(Tensor dx, Unary function, Tensor x, Tensor y, Tensor dy, boolean accumulate) {
        ReferenceTensor argument = of(x);
        ReferenceTensor value = of(y);
        ReferenceTensor gradient = of(dy);
        eachElement(
                dx,
                accumulate,
                (row, column) -> Functions.derivative(function, argument.get(row, column), value.get(row, column))
                        * gradient.get(row, column));
    }

    @Override
    public void compare(Tensor out, Tensor x, Comparison comparison, Tensor row) {
        ReferenceTensor left = of(x);
        ReferenceTensor right = of(row);
        eachElement(
                out,
                false,
                (i, column) -> Functions.holds(left.get(i, column), comparison, right.get(0, column)) ? 1 : 0);
    }

    @Override
    public void compareElements(Tensor out, Tensor a, Comparison comparison, Tensor b) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        eachElement(
                out,
                false,
                (row, column) -> Functions.holds(left.get(row, column), comparison, right.get(row, column)) ? 1 : 0);
    }

    // ---- tier 1: rows and columns

    @Override
    public void scaleRows(Tensor out, Tensor x, Tensor factors, boolean accumulate) {
        ReferenceTensor from = of(x);
        ReferenceTensor factor = of(factors);
        eachElement(out, accumulate, (row, column) -> from.get(row, column) * factor.get(row, 0));
    }

    @Override
    public void addRow(Tensor out, Tensor x, Tensor row) {
        ReferenceTensor from = of(x);
        ReferenceTensor term = of(row);
        eachElement(out, false, (i, column) -> from.get(i, column) + term.get(0, column));
    }

    @Override
    public void multiplyRow(Tensor out, Tensor x, Tensor row, boolean accumulate) {
        ReferenceTensor from = of(x);
        ReferenceTensor factor = of(row);
        eachElement(out, accumulate, (i, column) -> from.get(i, column) * factor.get(0, column));
    }

    @Override
    public void broadcastColumn(Tensor out, Tensor column, boolean accumulate) {
        ReferenceTensor from = of(column);
        eachElement(out, accumulate, (row, ignored) -> from.get(row, 0));
    }

    @Override
    public void broadcastRow(Tensor out, Tensor row, double scale, boolean accumulate) {
        ReferenceTensor from = of(row);
        eachElement(out, accumulate, (ignored, column) -> scale * from.get(0, column));
    }

    @Override
    public void rowSum(Tensor out, Tensor x, boolean accumulate) {
        ReferenceTensor from = of(x);
        eachElement(out, accumulate, (row, ignored) -> sum(from.columns(), column -> from.get(row, column)));
    }

    @Override
    public void rowDot(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        eachElement(
                out,
                accumulate,
                (row, ignored) -> sum(left.columns(), column -> left.get(row, column) * right.get(row, column)));
    }

    @Override
    public void rowLogSumExp(Tensor out, Tensor x) {
        ReferenceTensor from = of(x);
        eachElement(out, false, (row, ignored) -> logSumExp(from, row));
    }

    @Override
    public void columnSum(Tensor out, Tensor x, double scale, boolean accumulate) {
        ReferenceTensor from = of(x);
        int rows = rows(x);
        eachElement(out, accumulate, (ignored, column) -> scale * sum(rows, row -> from.get(row, column)));
    }

    @Override
    public void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        int rows = rows(a);
        eachElement(
                out,
                accumulate,
                (ignored, column) -> scale * sum(rows, row -> left.get(row, column) * right.get(row, column)));
    }

    @Override
    public void reciprocalCount(Tensor out, Extent extent) {
        of(out).set(0, 0, 1.0 / Math.max(1, rows(extent)));
    }

    @Override
    public void sumOfSquares(Tensor out, Tensor x, boolean accumulate) {
        ReferenceTensor from = of(x);
        double total = 0;
        for (int row = 0; row < rows(x); row++) {
            for (int column = 0; column < from.columns(); column++) {
                total += from.get(row, column) * from.get(row, column);
            }
        }
        of(out).put(0, 0, total, accumulate);
    }

    @Override
    public void softmax(Tensor out, Tensor x) {
        ReferenceTensor from = of(x);
        ReferenceTensor o = of(out);
        for (int row = 0; row < rows(out); row++) {
            double largest = largest(from, row);
            double total = 0;
            for (int column = 0; column < from.columns(); column++) {
                double weight = StrictMath.exp(from.get(row, column) - largest);
                o.set(row, column, weight);
                total += weight;
            }
            for (int column = 0; column < from.columns(); column++) {
                o.set(row, column, o.get(row, column) / total);
            }
        }
    }

    @Override
    public void softmaxBackward(Tensor dx, Tensor y, Tensor dy, boolean accumulate) {
        ReferenceTensor d = of(dx);
        ReferenceTensor value = of(y);
        ReferenceTensor gradient = of(dy);
        for (int i = 0; i < rows(dx); i++) {
            int row = i;
            double dot = sum(value.columns(), column -> gradient.get(row, column) * value.get(row, column));
            for (int column = 0; column < value.columns(); column++) {
                d.put(row, column, value.get(row, column) * (gradient.get(row, column) - dot), accumulate);
            }
        }
    }

    @Override
    public void argMax(IntTensor out, Tensor x) {
        ReferenceInts o = of(out);
        ReferenceTensor from = of(x);
        for (int row = 0; row < rows(x); row++) {
            int best = 0;
            for (int column = 1; column < from.columns(); column++) {
                if (Functions.ranksAbove(from.get(row, column), from.get(row, best))) {
                    best = column;
                }
            }
            o.set(row, best);
        }
    }

    // ---- tier 1: gather and scatter

    @Override
    public void gatherRows(Tensor out, Tensor x, IntTensor index, boolean accumulate) {
        ReferenceTensor from = of(x);
        ReferenceInts source = of(index);
        eachElement(out, accumulate, (row, column) -> from.get(source.get(row), column));
    }

    @Override
    public void scatterRows(Tensor out, IntTensor index, Tensor x) {
        ReferenceTensor o = of(out);
        ReferenceInts target = of(index);
        ReferenceTensor from = of(x);
        for (int row = 0; row < rows(x); row++) {
            if (target.get(row) < 0) {
                continue;
            }
            for (int column = 0; column < from.columns(); column++) {
                o.set(target.get(row), column, from.get(row, column));
            }
        }
    }

    @Override
    public void scatterAddRows(Tensor out, IntTensor index, Tensor x) {
        ReferenceTensor o = of(out);
        ReferenceInts target = of(index);
        ReferenceTensor from = of(x);
        for (int row = 0; row < rows(x); row++) {
            for (int column = 0; column < from.columns(); column++) {
                o.add(target.get(row), column, from.get(row, column));
            }
        }
    }

    @Override
    public void pickColumn(Tensor out, Tensor x, IntTensor column) {
        ReferenceTensor from = of(x);
        ReferenceInts picked = of(column);
        eachElement(out, false, (row, ignored) -> from.get(row, picked.get(row)));
    }

    @Override
    public void pickColumnBackward(Tensor dx, IntTensor column, Tensor dy) {
        ReferenceTensor d = of(dx);
        ReferenceInts picked = of(column);
        ReferenceTensor gradient = of(dy);
        for (int row = 0; row < rows(dy); row++) {
            d.add(row, picked.get(row), gradient.get(row, 0));
        }
    }

    @Override
    public void gatherInts(IntTensor out, IntTensor table, IntTensor index, Extent extent) {
        ReferenceInts o = of(out);
        ReferenceInts from = of(table);
        ReferenceInts source = of(index);
        for (int row = 0; row < rows(extent); row++) {
            o.set(row, from.get(source.get(row)));
        }
    }

    @Override
    public void toColumn(Tensor out, IntTensor values) {
        ReferenceInts from = of(values);
        eachElement(out, false, (row, ignored) -> from.get(row));
    }

    // ---- tier 1: selection

    @Override
    public void topKMask(Tensor out, Tensor scores, IntTensor offsets, IntTensor k) {
        ReferenceTensor o = of(out);
        ReferenceTensor score = of(scores);
        ReferenceInts groupStart = of(offsets);
        ReferenceInts wanted = of(k);
        eachElement(out, false, (row, ignored) -> 0);
        for (int group = 0; group < groupStart.length() - 1; group++) {
            IntStream.range(groupStart.get(group), groupStart.get(group + 1))
                    .boxed()
                    .sorted((a, b) ->
                            compareRanks(score.get(a, 0), score.get(b, 0))) // stable: the lower row of equals first
                    .limit(wanted.get(group))
                    .forEach(row -> o.set(row, 0, 1));
        }
    }

    private static int compareRanks(double a, double b) {
        return Functions.ranksAbove(a, b) ? -1 : Functions.ranksAbove(b, a) ? 1 : 0;
    }

    @Override
    public void reduceGroups(Tensor out, Reduction reduction, Tensor x, IntTensor offsets) {
        ReferenceTensor from = of(x);
        ReferenceInts groupStart = of(offsets);
        eachElement(out, false, (group, ignored) -> {
            double result = switch (reduction) {
                case SUM -> 0;
                case MAXIMUM -> Double.NEGATIVE_INFINITY;
                case MINIMUM -> Double.POSITIVE_INFINITY;
            };
            for (int row = groupStart.get(group); row < groupStart.get(group + 1); row++) {
                double value = from.get(row, 0);
                result = switch (reduction) {
                    case SUM -> result + value;
                    case MAXIMUM -> Math.max(result, value);
                    case MINIMUM -> Math.min(result, value);
                };
            }
            return result;
        });
    }

    @Override
    public void compact(IntTensor index, IntTensor count, Tensor mask) {
        ReferenceInts selected = of(index);
        ReferenceTensor marks = of(mask);
        int found = 0;
        for (int row = 0; row < rows(mask); row++) {
            if (marks.get(row, 0) > 0) {
                selected.set(found++, row);
            }
        }
        of(count).set(0, found);
    }

    @Override
    public void compactOffsets(IntTensor out, IntTensor index, Extent selected, IntTensor offsets) {
        ReferenceInts o = of(out);
        ReferenceInts rows = of(index);
        ReferenceInts groupStart = of(offsets);
        for (int group = 0; group < groupStart.length(); group++) {
            int before = 0;
            for (int i = 0; i < rows(selected); i++) {
                if (rows.get(i) < groupStart.get(group)) {
                    before++;
                }
            }
            o.set(group, before);
        }
    }

    @Override
    public void uniformRows(Tensor out, RandomKey key, IntTensor high, IntTensor low) {
        ReferenceInts counterHigh = of(high);
        ReferenceInts counterLow = of(low);
        eachElement(out, false, (row, ignored) -> key.uniform(counterHigh.get(row), counterLow.get(row)));
    }

    @Override
    public void uniform(Tensor out, RandomKey key) {
        eachElement(out, false, (row, column) -> key.uniform(0, (long) row * out.columns() + column));
    }

    // ---- tier 1: layers

    @Override
    public void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        int inner = transposeA ? rows(a) : a.columns();
        eachElement(
                out,
                accumulate,
                (row, column) -> sum(
                        inner,
                        k -> (transposeA ? left.get(k, row) : left.get(row, k))
                                * (transposeB ? right.get(column, k) : right.get(k, column))));
    }

    @Override
    public void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        ReferenceTensor o = of(out);
        ReferenceTensor reciprocal = of(rstd);
        ReferenceTensor from = of(x);
        ReferenceTensor scale = of(weight);
        for (int i = 0; i < rows(out); i++) {
            int row = i;
            double meanSquare =
                    sum(from.columns(), column -> from.get(row, column) * from.get(row, column)) / from.columns();
            reciprocal.set(row, 0, 1 / Math.sqrt(meanSquare + epsilon));
            for (int column = 0; column < from.columns(); column++) {
                o.set(
                        row,
                        column,
                        from.get(row, column) * reciprocal.get(row, 0) * scale.get(variant(variant, row), column));
            }
        }
    }

    @Override
    public void rmsNormBackward(
            Tensor dx,
            Tensor dweight,
            Tensor x,
            Tensor rstd,
            Tensor weight,
            Optional<IntTensor> variant,
            Tensor dy,
            boolean accumulate) {
        ReferenceTensor d = of(dx);
        ReferenceTensor dscale = of(dweight);
        ReferenceTensor from = of(x);
        ReferenceTensor scale = of(weight);
        ReferenceTensor gradient = of(dy);
        for (int i = 0; i < rows(dx); i++) {
            int row = i;
            int v = variant(variant, row);
            double reciprocal = of(rstd).get(row, 0);
            // y_c = w_c x_c r with r = (mean(x^2) + eps)^(-1/2), so dr/dx_c = -r^3 x_c / columns
            double dot = sum(
                    from.columns(), column -> gradient.get(row, column) * scale.get(v, column) * from.get(row, column));
            double common = dot * reciprocal * reciprocal * reciprocal / from.columns();
            for (int column = 0; column < from.columns(); column++) {
                double value = from.get(row, column);
                dscale.add(v, column, gradient.get(row, column) * value * reciprocal);
                d.put(
                        row,
                        column,
                        gradient.get(row, column) * scale.get(v, column) * reciprocal - value * common,
                        accumulate);
            }
        }
    }

    private int variant(Optional<IntTensor> variant, int row) {
        return variant.isEmpty() ? 0 : of(variant.get()).get(row);
    }

    @Override
    public void rope(Tensor out, Tensor x, IntTensor position, int headDim, double theta, boolean inverse) {
        ReferenceTensor o = of(out);
        ReferenceTensor from = of(x);
        ReferenceInts positions = of(position);
        for (int row = 0; row < rows(out); row++) {
            for (int head = 0; head < from.columns(); head += headDim) {
                for (int i = 0; i < headDim / 2; i++) {
                    double angle = positions.get(row) * StrictMath.pow(theta, -2.0 * i / headDim);
                    double cosine = StrictMath.cos(angle);
                    double sine = inverse ? -StrictMath.sin(angle) : StrictMath.sin(angle);
                    double first = from.get(row, head + i);
                    double second = from.get(row, head + i + headDim / 2);
                    o.set(row, head + i, first * cosine - second * sine);
                    o.set(row, head + i + headDim / 2, second * cosine + first * sine);
                }
            }
        }
    }

    @Override
    public void attention(
            Tensor out,
            Tensor logSumExp,
            Tensor queries,
            Tensor keys,
            Tensor values,
            AttentionRanges ranges,
            AttentionShape shape) {
        attentionKernels(queries, keys, values, ranges, shape).forward(of(out), of(logSumExp), rows(out));
    }

    @Override
    public void attentionBackward(
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
            AttentionShape shape) {
        attentionKernels(queries, keys, values, ranges, shape)
                .backward(of(dqueries), of(dkeys), of(dvalues), of(out), of(logSumExp), of(dout), rows(dqueries));
    }

    private AttentionKernels attentionKernels(
            Tensor queries, Tensor keys, Tensor values, AttentionRanges ranges, AttentionShape shape) {
        return new AttentionKernels(
                of(queries),
                of(keys),
                of(values),
                of(ranges.start()),
                of(ranges.end()),
                ranges.entryRows().map(this::of),
                shape);
    }

    @Override
    public void causalRanges(
            IntTensor start,
            IntTensor end,
            IntTensor querySequence,
            IntTensor queryPosition,
            Extent queries,
            IntTensor keyOffsets,
            IntTensor keyPosition,
            int window) {
        ReferenceInts first = of(start);
        ReferenceInts last = of(end);
        ReferenceInts sequences = of(querySequence);
        ReferenceInts positions = of(queryPosition);
        ReferenceInts offsets = of(keyOffsets);
        ReferenceInts keys = of(keyPosition);
        for (int row = 0; row < rows(queries); row++) {
            int from = offsets.get(sequences.get(row));
            int to = offsets.get(sequences.get(row) + 1);
            int position = positions.get(row);
            first.set(row, window == 0 ? from : firstAfter(keys, from, to, position - window));
            last.set(row, firstAfter(keys, from, to, position));
        }
    }

    /** The first key in {@code from .. to} whose position is greater than {@code position}, or {@code to}. */
    private static int firstAfter(ReferenceInts keyPosition, int from, int to, int position) {
        int key = from;
        while (key < to && keyPosition.get(key) <= position) {
            key++;
        }
        return key;
    }

    @Override
    public void crossEntropy(Tensor out, Tensor logits, IntTensor target) {
        ReferenceTensor from = of(logits);
        ReferenceInts wanted = of(target);
        eachElement(out, false, (row, ignored) -> logSumExp(from, row) - from.get(row, wanted.get(row)));
    }

    @Override
    public void crossEntropyBackward(Tensor dlogits, Tensor logits, IntTensor target, Tensor dy) {
        ReferenceTensor d = of(dlogits);
        ReferenceTensor from = of(logits);
        ReferenceInts wanted = of(target);
        ReferenceTensor gradient = of(dy);
        for (int row = 0; row < rows(dlogits); row++) {
            double logSumExp = logSumExp(from, row);
            for (int column = 0; column < from.columns(); column++) {
                double probability = StrictMath.exp(from.get(row, column) - logSumExp);
                double wantedProbability = column == wanted.get(row) ? 1 : 0;
                d.set(row, column, (probability - wantedProbability) * gradient.get(row, 0));
            }
        }
    }

    // ---- tier 1: generation's entry tables

    @Override
    public void appendEntries(
            IntTensor poolRow,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent) {
        EntryTableKernels kernels = entryTableKernels(tables);
        for (int row = 0; row < rows(extent); row++) {
            of(poolRow)
                    .set(
                            row,
                            kernels.append(
                                    of(sequence).get(row),
                                    of(position).get(row),
                                    of(recursion).get(row)));
        }
    }

    @Override
    public void entryRanges(
            IntTensor start,
            IntTensor end,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent) {
        EntryTableKernels kernels = entryTableKernels(tables);
        for (int row = 0; row < rows(extent); row++) {
            of(start)
                    .set(
                            row,
                            kernels.start(
                                    of(sequence).get(row),
                                    of(position).get(row),
                                    of(recursion).get(row)));
            of(end).set(
                            row,
                            kernels.end(
                                    of(sequence).get(row),
                                    of(position).get(row),
                                    of(recursion).get(row)));
        }
    }

    private EntryTableKernels entryTableKernels(EntryTables tables) {
        return new EntryTableKernels(
                tables.visits(),
                tables.capacity(),
                of(tables.rows()),
                of(tables.positions()),
                of(tables.length()),
                of(tables.reserved()),
                of(tables.written()));
    }

    // ---- tier 1: optimizer

    @Override
    public void adamW(
            Tensor parameter,
            Tensor gradient,
            Tensor firstMoment,
            Tensor secondMoment,
            Tensor gradientScale,
            AdamWStep step) {
        ReferenceTensor p = of(parameter);
        ReferenceTensor g = of(gradient);
        ReferenceTensor m = of(firstMoment);
        ReferenceTensor v = of(secondMoment);
        double scale = of(gradientScale).get(0, 0);
        if (!Double.isFinite(scale)) {
            return;
        }
        double firstCorrection = 1 - StrictMath.pow(step.beta1(), step.step());
        double secondCorrection = 1 - StrictMath.pow(step.beta2(), step.step());
        for (int row = 0; row < rows(parameter); row++) {
            for (int column = 0; column < p.columns(); column++) {
                double slope = g.get(row, column) * scale;
                double first = step.beta1() * m.get(row, column) + (1 - step.beta1()) * slope;
                double second = step.beta2() * v.get(row, column) + (1 - step.beta2()) * slope * slope;
                m.set(row, column, first);
                v.set(row, column, second);
                double direction = first / firstCorrection / (Math.sqrt(second / secondCorrection) + step.epsilon());
                p.add(row, column, -step.learningRate() * (direction + step.weightDecay() * p.get(row, column)));
            }
        }
    }

    // ---- tier 2

    @Override
    public void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        double norm = Math.sqrt(of(sumOfSquares).get(0, 0));
        of(out).set(0, 0, maxNorm == 0 ? 1 : Math.min(1, maxNorm / (norm + 1e-6)));
    }

    // ---- loops

    /** The value of one element of a result. */
    @FunctionalInterface
    private interface Element {
        double at(int row, int column);
    }

    /** A term of a sum. */
    @FunctionalInterface
    private interface Term {
        double at(int index);
    }

    /** Sets, or adds to, every element of the rows in use. */
    private void eachElement(Tensor out, boolean accumulate, Element element) {
        ReferenceTensor o = of(out);
        int rows = rows(out);
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < o.columns(); column++) {
                o.put(row, column, element.at(row, column), accumulate);
            }
        }
    }

    private static double sum(int terms, Term term) {
        double total = 0;
        for (int i = 0; i < terms; i++) {
            total += term.at(i);
        }
        return total;
    }

    private static double largest(ReferenceTensor x, int row) {
        double largest = Double.NEGATIVE_INFINITY;
        for (int column = 0; column < x.columns(); column++) {
            largest = Math.max(largest, x.get(row, column));
        }
        return largest;
    }

    private static double logSumExp(ReferenceTensor x, int row) {
        double largest = largest(x, row);
        if (Double.isInfinite(largest)) {
            return largest;
        }
        return largest + StrictMath.log(sum(x.columns(), column -> StrictMath.exp(x.get(row, column) - largest)));
    }
}
