package io.mor.backend.cpu;

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
import java.util.Objects;
import java.util.Optional;

/**
 * Single precision on the processor's vector units (see {@link io.mor.api.backend.Backend} for the kernels). All results are the same bits for
 * any number of threads, before and after the just-in-time compiler has done its work; they differ between vector widths.
 *
 * <p>Functions with a polynomial (exp, sigmoid, SiLU, tanh, erf) are within a few units in the last place, and 0 below the smallest normal
 * number. Memory of released tensors is used again.
 *
 * <p>Errors: memory that was released or belongs to another backend, counts and views out of bounds throw and say which. Thread safety: one
 * thread at a time; the backend's own threads run while a kernel does, and end with {@link #close}.
 */
public final class CpuBackend implements Backend {

    private static final int ELEMENTS_PER_PART = 1 << 14; // some microseconds of work
    private static final int SQUARES_PER_SUM =
            1 << 14; // elements of one partial sum; fixed, since it decides the order of additions

    private final Memory memory = new Memory();
    private final Workers workers;
    private final MatrixProduct product;
    private RotaryTables rotary = new RotaryTables(2, 1);
    private boolean closed;

    /** A backend with the threads that {@code config} asks for; they run until {@link #close}. */
    @Inject
    public CpuBackend(CpuConfig config) {
        Objects.requireNonNull(config, "config is null");
        VectorCheck.nanosPerElement();
        workers = new Workers(config.resolvedThreads());
        product = new MatrixProduct(workers, memory);
    }

    // ---- identity

    @Override
    public String description() {
        return "cpu: single precision, " + Vectors.SPECIES.vectorBitSize() + "-bit vectors ("
                + System.getProperty("os.arch") + "), " + workers.threads()
                + (workers.threads() == 1 ? " thread" : " threads");
    }

    @Override
    public Precision precision() {
        return Precision.FLOAT32;
    }

    // ---- memory

    @Override
    public Tensor allocate(int rows, int columns) {
        return memory.allocate(rows, columns);
    }

    @Override
    public IntTensor allocateInts(int length) {
        return memory.allocateInts(length);
    }

    @Override
    public Tensor view(Tensor base, int firstRow, Extent extent, int columns) {
        return memory.view(of(base), firstRow, extent, columns);
    }

    @Override
    public IntTensor view(IntTensor base, int first, int length) {
        return memory.view(of(base), first, length);
    }

    @Override
    public void release(Tensor tensor) {
        memory.release(of(tensor));
    }

    @Override
    public void release(IntTensor tensor) {
        memory.release(of(tensor));
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            workers.close();
            memory.close();
        }
    }

    private CpuTensor of(Tensor tensor) {
        return memory.of(tensor);
    }

    private CpuInts of(IntTensor ints) {
        return memory.of(ints);
    }

    /** A tensor that the kernel is about to write. */
    private CpuTensor written(Tensor tensor) {
        CpuTensor t = memory.of(tensor);
        t.storage().written();
        return t;
    }

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
    public void write(Tensor tensor, float[] source) {
        CpuTensor t = written(tensor);
        requireLength(t.size(), source.length, t);
        System.arraycopy(source, 0, t.values(), t.offset(), source.length);
    }

    @Override
    public void write(Tensor tensor, double[] source) {
        CpuTensor t = written(tensor);
        requireLength(t.size(), source.length, t);
        for (int i = 0; i < source.length; i++) {
            t.values()[t.offset() + i] = (float) source[i];
        }
    }

    @Override
    public void write(IntTensor tensor, int[] source) {
        CpuInts t = of(tensor);
        requireLength(t.length(), source.length, t);
        System.arraycopy(source, 0, t.storage().values(), t.offset(), source.length);
    }

    @Override
    public float[] readFloats(Tensor tensor) {
        CpuTensor t = of(tensor);
        return Arrays.copyOfRange(t.values(), t.offset(), t.offset() + t.size());
    }

    @Override
    public double[] readDoubles(Tensor tensor) {
        CpuTensor t = of(tensor);
        double[] result = new double[t.size()];
        for (int i = 0; i < result.length; i++) {
            result[i] = t.values()[t.offset() + i];
        }
        return result;
    }

    @Override
    public int[] readInts(IntTensor tensor) {
        CpuInts t = of(tensor);
        return Arrays.copyOfRange(t.storage().values(), t.offset(), t.offset() + t.length());
    }

    private static void requireLength(int expected, int given, Object target) {
        if (expected != given) {
            throw new IllegalArgumentException(
                    given + " values do not fill a " + target + ", which has " + expected + " elements");
        }
    }

    // ---- tier 1: element-wise

    @Override
    public void fill(Tensor out, double value) {
        CpuTensor o = written(out);
        elements(o.size(), (from, to) -> Arrays.fill(o.values(), o.offset() + from, o.offset() + to, (float) value));
    }

    @Override
    public void fill(IntTensor out, int value) {
        CpuInts o = of(out);
        Arrays.fill(o.storage().values(), o.offset(), o.offset() + o.length(), value);
    }

    @Override
    public void copy(Tensor out, Tensor x) {
        CpuTensor o = written(out);
        CpuTensor from = of(x);
        elements(
                rows(out) * o.columns(),
                (first, end) -> System.arraycopy(
                        from.values(), from.offset() + first, o.values(), o.offset() + first, end - first));
    }

    @Override
    public void affine(Tensor out, Tensor x, double scale, double shift, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.affine(
                        o.values(),
                        o.offset() + from,
                        a.values(),
                        a.offset() + from,
                        (float) scale,
                        (float) shift,
                        accumulate,
                        to - from));
    }

    @Override
    public void add(Tensor out, Tensor a, Tensor b, double scaleB) {
        CpuTensor o = written(out);
        CpuTensor x = of(a);
        CpuTensor y = of(b);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.add(
                        o.values(),
                        o.offset() + from,
                        x.values(),
                        x.offset() + from,
                        y.values(),
                        y.offset() + from,
                        (float) scaleB,
                        to - from));
    }

    @Override
    public void multiply(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor x = of(a);
        CpuTensor y = of(b);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.multiply(
                        o.values(),
                        o.offset() + from,
                        x.values(),
                        x.offset() + from,
                        y.values(),
                        y.offset() + from,
                        accumulate,
                        to - from));
    }

    @Override
    public void unary(Tensor out, Unary function, Tensor x) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.unary(
                        o.values(), o.offset() + from, function, a.values(), a.offset() + from, to - from));
    }

    @Override
    public void unaryBackward(Tensor dx, Unary function, Tensor x, Tensor y, Tensor dy, boolean accumulate) {
        CpuTensor d = written(dx);
        CpuTensor a = of(x);
        CpuTensor b = of(y);
        CpuTensor g = of(dy);
        elements(
                rows(dx) * d.columns(),
                (from, to) -> Elementwise.unaryBackward(
                        d.values(),
                        d.offset() + from,
                        function,
                        a.values(),
                        a.offset() + from,
                        b.values(),
                        b.offset() + from,
                        g.values(),
                        g.offset() + from,
                        accumulate,
                        to - from));
    }

    @Override
    public void compare(Tensor out, Tensor x, Comparison comparison, Tensor row) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuTensor b = of(row);
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.compare(
                        o.values(),
                        o.rowOffset(i),
                        a.values(),
                        a.rowOffset(i),
                        comparison,
                        b.values(),
                        b.offset(),
                        o.columns()));
    }

    @Override
    public void compareElements(Tensor out, Tensor a, Comparison comparison, Tensor b) {
        CpuTensor o = written(out);
        CpuTensor x = of(a);
        CpuTensor y = of(b);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.compare(
                        o.values(),
                        o.offset() + from,
                        x.values(),
                        x.offset() + from,
                        comparison,
                        y.values(),
                        y.offset() + from,
                        to - from));
    }

    // ---- tier 1: rows and columns

    @Override
    public void scaleRows(Tensor out, Tensor x, Tensor factors, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuTensor f = of(factors);
        if (o.columns() == 1) {
            multiply(out, x, factors, accumulate);
            return;
        }
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.scale(
                        o.values(),
                        o.rowOffset(i),
                        a.values(),
                        a.rowOffset(i),
                        f.values()[f.offset() + i],
                        accumulate,
                        o.columns()));
    }

    @Override
    public void addRow(Tensor out, Tensor x, Tensor row) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuTensor b = of(row);
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.add(
                        o.values(),
                        o.rowOffset(i),
                        a.values(),
                        a.rowOffset(i),
                        b.values(),
                        b.offset(),
                        1f,
                        o.columns()));
    }

    @Override
    public void multiplyRow(Tensor out, Tensor x, Tensor row, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuTensor b = of(row);
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.multiply(
                        o.values(),
                        o.rowOffset(i),
                        a.values(),
                        a.rowOffset(i),
                        b.values(),
                        b.offset(),
                        accumulate,
                        o.columns()));
    }

    @Override
    public void broadcastColumn(Tensor out, Tensor column, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(column);
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.broadcast(
                        o.values(), o.rowOffset(i), a.values()[a.offset() + i], accumulate, o.columns()));
    }

    @Override
    public void broadcastRow(Tensor out, Tensor row, double scale, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(row);
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.scale(
                        o.values(), o.rowOffset(i), a.values(), a.offset(), (float) scale, accumulate, o.columns()));
    }

    @Override
    public void rowSum(Tensor out, Tensor x, boolean accumulate) {
        CpuTensor a = of(x);
        rowResult(out, a.columns(), accumulate, i -> Elementwise.sum(a.values(), a.rowOffset(i), a.columns()));
    }

    @Override
    public void rowDot(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        CpuTensor x = of(a);
        CpuTensor y = of(b);
        rowResult(
                out,
                x.columns(),
                accumulate,
                i -> Elementwise.dot(x.values(), x.rowOffset(i), y.values(), y.rowOffset(i), x.columns()));
    }

    @Override
    public void rowLogSumExp(Tensor out, Tensor x) {
        CpuTensor a = of(x);
        rowResult(out, 4 * a.columns(), false, i -> logSumExp(a, i));
    }

    private static float logSumExp(CpuTensor x, int row) {
        float largest = Elementwise.largest(x.values(), x.rowOffset(row), x.columns());
        if (largest == Float.POSITIVE_INFINITY) {
            return largest;
        }
        float shift = largest == Float.NEGATIVE_INFINITY
                ? 0
                : largest; // all are: ln 0; or there are NaN, which the sum keeps
        return (float) (shift + Math.log(Elementwise.sumOfExp(x.values(), x.rowOffset(row), shift, x.columns())));
    }

    @Override
    public void columnSum(Tensor out, Tensor x, double scale, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        columnSums(o, Columns.Term.X, a, a, a, rows(x), (float) scale, accumulate);
    }

    @Override
    public void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate) {
        columnSums(written(out), Columns.Term.X_TIMES_Y, of(a), of(b), of(a), rows(a), (float) scale, accumulate);
    }

    private void columnSums(
            CpuTensor out,
            Columns.Term term,
            CpuTensor x,
            CpuTensor y,
            CpuTensor factor,
            int rows,
            float scale,
            boolean accumulate) {
        int runs = Columns.runs(rows);
        float[] partial = memory.take((long) runs * x.columns(), "partial sums of columns");
        boolean isSmall = rows * x.columns() < 2 * ELEMENTS_PER_PART;
        workers.run(isSmall, runs, (thread, run) -> Columns.sumRun(term, x, y, factor, rows, run, partial));
        sumRuns(out, partial, runs, scale, accumulate);
        memory.giveBack(partial);
    }

    private void sumRuns(CpuTensor out, float[] partial, int runs, float scale, boolean accumulate) {
        int columns = out.columns();
        workers.split(
                (columns + Vectors.LANES - 1) / Vectors.LANES,
                1 + ELEMENTS_PER_PART / Math.max(1, runs * Vectors.LANES),
                (from, to) -> Columns.sumOfRuns(
                        partial,
                        runs,
                        columns,
                        out.values(),
                        out.offset(),
                        scale,
                        accumulate,
                        from * Vectors.LANES,
                        Math.min(columns, to * Vectors.LANES)));
    }

    @Override
    public void reciprocalCount(Tensor out, Extent extent) {
        setScalar(out, 1.0 / Math.max(1, rows(extent)));
    }

    @Override
    public void sumOfSquares(Tensor out, Tensor x, boolean accumulate) {
        CpuTensor a = of(x);
        int n = rows(x) * a.columns();
        int sums = (n + SQUARES_PER_SUM - 1) / SQUARES_PER_SUM;
        double[] partial = new double[sums];
        workers.run(sums, (thread, i) -> {
            int first = i * SQUARES_PER_SUM;
            int at = a.offset() + first;
            partial[i] = Elementwise.dot(a.values(), at, a.values(), at, Math.min(SQUARES_PER_SUM, n - first));
        });
        double total = accumulate ? scalar(out) : 0;
        for (double sum : partial) {
            total += sum;
        }
        setScalar(out, total);
    }

    @Override
    public void softmax(Tensor out, Tensor x) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        int columns = o.columns();
        eachRow(rows(out), 4 * columns, i -> {
            float largest = Elementwise.largest(a.values(), a.rowOffset(i), columns);
            float total = Elementwise.expOfDifference(
                    o.values(), o.rowOffset(i), a.values(), a.rowOffset(i), largest, columns);
            Elementwise.scale(o.values(), o.rowOffset(i), o.values(), o.rowOffset(i), 1 / total, false, columns);
        });
    }

    @Override
    public void softmaxBackward(Tensor dx, Tensor y, Tensor dy, boolean accumulate) {
        CpuTensor d = written(dx);
        CpuTensor a = of(y);
        CpuTensor g = of(dy);
        int columns = d.columns();
        eachRow(rows(dx), 2 * columns, i -> {
            float dot = Elementwise.dot(a.values(), a.rowOffset(i), g.values(), g.rowOffset(i), columns);
            Elementwise.softmaxBackward(
                    d.values(),
                    d.rowOffset(i),
                    a.values(),
                    a.rowOffset(i),
                    g.values(),
                    g.rowOffset(i),
                    dot,
                    accumulate,
                    columns);
        });
    }

    @Override
    public void argMax(IntTensor out, Tensor x) {
        CpuInts o = of(out);
        CpuTensor a = of(x);
        eachRow(rows(x), a.columns(), i -> o.set(i, Selection.argMax(a.values(), a.rowOffset(i), a.columns())));
    }

    // ---- tier 1: gather and scatter

    @Override
    public void gatherRows(Tensor out, Tensor x, IntTensor index, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuInts source = of(index);
        int columns = o.columns();
        eachRow(rows(out), columns, i -> {
            int from = a.rowOffset(checkedRow(source, i, a));
            if (accumulate) {
                Elementwise.add(o.values(), o.rowOffset(i), o.values(), o.rowOffset(i), a.values(), from, 1f, columns);
            } else {
                System.arraycopy(a.values(), from, o.values(), o.rowOffset(i), columns);
            }
        });
    }

    @Override
    public void scatterRows(Tensor out, IntTensor index, Tensor x) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuInts target = of(index);
        int columns = o.columns();
        eachRow(rows(x), columns, i -> {
            if (target.get(i) >= 0) { // -1 is what appendEntries gives to a row that is not stored
                System.arraycopy(
                        a.values(), a.rowOffset(i), o.values(), o.rowOffset(checkedRow(target, i, o)), columns);
            }
        });
    }

    @Override
    public void scatterAddRows(Tensor out, IntTensor index, Tensor x) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuInts target = of(index);
        int rows = rows(x);
        int columns = o.columns();
        // indices may repeat, so the threads share the columns, not the rows; each adds its columns in ascending rows
        int vectors = (columns + Vectors.LANES - 1) / Vectors.LANES;
        workers.split(vectors, 1 + ELEMENTS_PER_PART / Math.max(1, rows * Vectors.LANES), (from, to) -> {
            int first = from * Vectors.LANES;
            int n = Math.min(columns, to * Vectors.LANES) - first;
            for (int i = 0; i < rows; i++) {
                int at = o.rowOffset(checkedRow(target, i, o)) + first;
                Elementwise.add(o.values(), at, o.values(), at, a.values(), a.rowOffset(i) + first, 1f, n);
            }
        });
    }

    private static int checkedRow(CpuInts index, int i, CpuTensor x) {
        int row = index.get(i);
        if (row < 0 || row >= x.rows()) {
            throw new IndexOutOfBoundsException("index " + i + " names row " + row + " of a " + x);
        }
        return row;
    }

    @Override
    public void pickColumn(Tensor out, Tensor x, IntTensor column) {
        CpuTensor a = of(x);
        CpuInts picked = of(column);
        rowResult(out, 1, false, i -> a.values()[a.rowOffset(i) + checkedColumn(picked, i, a)]);
    }

    @Override
    public void pickColumnBackward(Tensor dx, IntTensor column, Tensor dy) {
        CpuTensor d = written(dx);
        CpuTensor g = of(dy);
        CpuInts picked = of(column);
        for (int i = 0; i < rows(dy); i++) {
            d.values()[d.rowOffset(i) + checkedColumn(picked, i, d)] += g.values()[g.offset() + i];
        }
    }

    private static int checkedColumn(CpuInts index, int i, CpuTensor x) {
        int column = index.get(i);
        if (column < 0 || column >= x.columns()) {
            throw new IndexOutOfBoundsException("element " + i + " names column " + column + " of a " + x);
        }
        return column;
    }

    @Override
    public void gatherInts(IntTensor out, IntTensor table, IntTensor index, Extent extent) {
        CpuInts o = of(out);
        CpuInts from = of(table);
        CpuInts source = of(index);
        for (int i = 0; i < rows(extent); i++) {
            o.set(i, from.get(Objects.checkIndex(source.get(i), from.length())));
        }
    }

    @Override
    public void toColumn(Tensor out, IntTensor source) {
        CpuInts from = of(source);
        rowResult(out, 1, false, from::get);
    }

    // ---- tier 1: selection

    @Override
    public void topKMask(Tensor out, Tensor scores, IntTensor offsets, IntTensor k) {
        CpuTensor o = written(out);
        CpuTensor a = of(scores);
        CpuInts groups = of(offsets);
        CpuInts wanted = of(k);
        workers.run(
                groups.length() - 1,
                (thread, group) -> Selection.topK(
                        o.values(),
                        o.offset(),
                        a.values(),
                        a.offset(),
                        groups.get(group),
                        groups.get(group + 1),
                        wanted.get(group)));
    }

    @Override
    public void reduceGroups(Tensor out, Reduction reduction, Tensor x, IntTensor offsets) {
        CpuTensor a = of(x);
        CpuInts groups = of(offsets);
        rowResult(
                out,
                64,
                false,
                i -> Selection.reduce(
                        reduction, a.values(), a.offset() + groups.get(i), a.offset() + groups.get(i + 1)));
    }

    @Override
    public void compact(IntTensor index, IntTensor count, Tensor mask) {
        CpuInts selected = of(index);
        CpuTensor marks = of(mask);
        int rows = rows(mask);
        int found = 0;
        for (int row = 0; row < rows; row++) {
            if (marks.values()[marks.offset() + row] > 0) {
                selected.set(found++, row);
            }
        }
        of(count).set(0, found);
    }

    @Override
    public void compactOffsets(IntTensor out, IntTensor index, Extent selected, IntTensor offsets) {
        CpuInts o = of(out);
        CpuInts rows = of(index);
        CpuInts groups = of(offsets);
        int first = rows.offset();
        int end = first + rows(selected);
        for (int group = 0; group < groups.length(); group++) {
            o.set(group, Selection.firstAfter(rows.storage().values(), first, end, groups.get(group) - 1) - first);
        }
    }

    @Override
    public void uniformRows(Tensor out, RandomKey key, IntTensor high, IntTensor low) {
        CpuInts counterHigh = of(high);
        CpuInts counterLow = of(low);
        rowResult(out, 16, false, i -> (float) key.uniform(counterHigh.get(i), counterLow.get(i)));
    }

    @Override
    public void uniform(Tensor out, RandomKey key) {
        CpuTensor o = written(out);
        elements(rows(out) * o.columns(), (from, to) -> {
            for (int i = from; i < to; i++) {
                o.values()[o.offset() + i] = (float) key.uniform(0, i);
            }
        });
    }

    // ---- tier 1: layers

    @Override
    public void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor left = of(a);
        CpuTensor right = of(b);
        int m = transposeA ? left.columns() : rows(out);
        int k = transposeA ? rows(a) : left.columns();
        product.multiply(o, m, o.columns(), k, left, transposeA, right, transposeB, accumulate);
    }

    @Override
    public void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        CpuTensor o = written(out);
        CpuTensor r = written(rstd);
        CpuTensor a = of(x);
        CpuTensor w = of(weight);
        Optional<CpuInts> rowOfWeight = variant.map(this::of);
        int columns = a.columns();
        eachRow(rows(out), 2 * columns, i -> {
            double meanSquare =
                    (double) Elementwise.dot(a.values(), a.rowOffset(i), a.values(), a.rowOffset(i), columns) / columns;
            float factor = (float) (1 / Math.sqrt(meanSquare + epsilon));
            r.values()[r.offset() + i] = factor;
            Elementwise.normalise(
                    o.values(),
                    o.rowOffset(i),
                    a.values(),
                    a.rowOffset(i),
                    factor,
                    w.values(),
                    w.rowOffset(variant(rowOfWeight, i)),
                    columns);
        });
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
        CpuTensor dw = written(dweight);
        CpuTensor a = of(x);
        CpuTensor r = of(rstd);
        CpuTensor w = of(weight);
        CpuTensor g = of(dy);
        Optional<CpuInts> rowOfWeight = variant.map(this::of);
        int rows = rows(dx);
        int columns = a.columns();
        if (rowOfWeight.isPresent()) {
            variantGradients(dw, a, r, g, rowOfWeight.get(), rows);
            CpuTensor d = written(dx);
            eachRow(rows, 3 * columns, i -> rmsNormRowBackward(d, a, r, w, variant(rowOfWeight, i), g, i, accumulate));
            return;
        }
        CpuTensor d = written(dx);
        int runs = Columns.runs(rows);
        float[] partial = memory.take((long) runs * columns, "partial sums of columns");
        workers.run(rows * columns < ELEMENTS_PER_PART, runs, (thread, run) -> {
            Columns.sumRun(Columns.Term.X_TIMES_Y_TIMES_FACTOR, g, a, r, rows, run, partial);
            for (int i = run * Columns.ROWS_PER_RUN; i < Math.min(rows, (run + 1) * Columns.ROWS_PER_RUN); i++) {
                rmsNormRowBackward(d, a, r, w, 0, g, i, accumulate);
            }
        });
        sumRuns(dw, partial, runs, 1f, true);
        memory.giveBack(partial);
    }

    private static void rmsNormRowBackward(
            CpuTensor dx,
            CpuTensor x,
            CpuTensor rstd,
            CpuTensor weight,
            int weightRow,
            CpuTensor dy,
            int i,
            boolean accumulate) {
        int columns = x.columns();
        int wo = weight.rowOffset(weightRow);
        double factor = rstd.values()[rstd.offset() + i];
        double dot = Elementwise.tripleDot(
                x.values(), x.rowOffset(i), dy.values(), dy.rowOffset(i), weight.values(), wo, columns);
        float common =
                (float) (dot * factor * factor * factor / columns); // of y_c = w_c x_c r: dr/dx_c = -r^3 x_c / columns
        Elementwise.normaliseBackward(
                dx.values(),
                dx.rowOffset(i),
                dy.values(),
                dy.rowOffset(i),
                weight.values(),
                wo,
                (float) factor,
                x.values(),
                x.rowOffset(i),
                common,
                accumulate,
                columns);
    }

    /** {@code dweight[variant[i]] += dy * x * rstd}, ascending i. */
    private void variantGradients(
            CpuTensor dweight, CpuTensor x, CpuTensor rstd, CpuTensor dy, CpuInts variant, int rows) {
        workers.split(x.columns(), 1 + ELEMENTS_PER_PART / Math.max(1, rows), (from, to) -> {
            for (int i = 0; i < rows; i++) {
                float factor = rstd.values()[rstd.offset() + i];
                int dwo = dweight.rowOffset(variant.get(i));
                for (int c = from; c < to; c++) {
                    dweight.values()[dwo + c] +=
                            dy.values()[dy.rowOffset(i) + c] * x.values()[x.rowOffset(i) + c] * factor;
                }
            }
        });
    }

    private static int variant(Optional<CpuInts> variant, int row) {
        return variant.isEmpty() ? 0 : variant.get().get(row);
    }

    @Override
    public void rope(Tensor out, Tensor x, IntTensor position, int headDim, double theta, boolean inverse) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuInts positions = of(position);
        int rows = rows(out);
        if (!rotary.isFor(headDim, theta)) {
            rotary = new RotaryTables(headDim, theta);
        }
        for (int i = 0; i < rows; i++) {
            rotary.reach(positions.get(i));
        }
        RotaryTables tables = rotary;
        eachRow(
                rows,
                2 * o.columns(),
                i -> tables.rotate(
                        o.values(),
                        o.rowOffset(i),
                        a.values(),
                        a.rowOffset(i),
                        o.columns(),
                        positions.get(i),
                        inverse));
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
        AttentionInput input = attentionInput(queries, keys, values, ranges, shape, rows(out));
        new AttentionForward(input, workers, memory, written(out), written(logSumExp)).run();
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
        AttentionInput input = attentionInput(queries, keys, values, ranges, shape, rows(dqueries));
        AttentionBackward.Gradients gradients = new AttentionBackward.Gradients(
                written(dqueries), written(dkeys), written(dvalues), of(out), of(logSumExp), of(dout));
        new AttentionBackward(input, workers, memory, gradients).run();
    }

    private AttentionInput attentionInput(
            Tensor queries, Tensor keys, Tensor values, AttentionRanges ranges, AttentionShape shape, int rows) {
        return new AttentionInput(
                shape,
                of(queries),
                of(keys),
                of(values),
                of(ranges.start()),
                of(ranges.end()),
                ranges.entryRows().map(this::of),
                rows);
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
        CpuInts first = of(start);
        CpuInts last = of(end);
        CpuInts sequences = of(querySequence);
        CpuInts positions = of(queryPosition);
        CpuInts offsets = of(keyOffsets);
        CpuInts keys = of(keyPosition);
        int[] keyPositions = keys.storage().values();
        int base = keys.offset();
        for (int i = 0; i < rows(queries); i++) {
            int from = base + offsets.get(sequences.get(i));
            int to = base + offsets.get(sequences.get(i) + 1);
            int position = positions.get(i);
            first.set(i, (window == 0 ? from : Selection.firstAfter(keyPositions, from, to, position - window)) - base);
            last.set(i, Selection.firstAfter(keyPositions, from, to, position) - base);
        }
    }

    @Override
    public void crossEntropy(Tensor out, Tensor logits, IntTensor target) {
        CpuTensor a = of(logits);
        CpuInts wanted = of(target);
        rowResult(
                out,
                4 * a.columns(),
                false,
                i -> logSumExp(a, i) - a.values()[a.rowOffset(i) + checkedColumn(wanted, i, a)]);
    }

    @Override
    public void crossEntropyBackward(Tensor dlogits, Tensor logits, IntTensor target, Tensor dy) {
        CpuTensor d = written(dlogits);
        CpuTensor a = of(logits);
        CpuInts wanted = of(target);
        CpuTensor g = of(dy);
        int columns = a.columns();
        eachRow(rows(dlogits), 8 * columns, i -> {
            float gradient = g.values()[g.offset() + i];
            int at = d.rowOffset(i);
            float shift = logSumExp(a, i);
            Elementwise.expOfDifference(d.values(), at, a.values(), a.rowOffset(i), shift, columns);
            Elementwise.scale(d.values(), at, d.values(), at, gradient, false, columns);
            d.values()[at + checkedColumn(wanted, i, a)] -= gradient;
        });
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
        CpuInts out = of(poolRow);
        CpuInts sequences = of(sequence);
        CpuInts positions = of(position);
        CpuInts recursions = of(recursion);
        for (int i = 0; i < rows(extent); i++) {
            out.set(i, kernels.append(sequences.get(i), positions.get(i), recursions.get(i)));
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
        CpuInts first = of(start);
        CpuInts last = of(end);
        CpuInts sequences = of(sequence);
        CpuInts positions = of(position);
        CpuInts recursions = of(recursion);
        for (int i = 0; i < rows(extent); i++) {
            first.set(i, kernels.start(sequences.get(i), positions.get(i), recursions.get(i)));
            last.set(i, kernels.end(sequences.get(i), positions.get(i), recursions.get(i)));
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
        CpuTensor p = written(parameter);
        CpuTensor g = of(gradient);
        CpuTensor m = written(firstMoment);
        CpuTensor v = written(secondMoment);
        float scale = scalar(gradientScale);
        if (!Float.isFinite(scale)) {
            return;
        }
        Elementwise.AdamW numbers = new Elementwise.AdamW(
                scale,
                (float) step.beta1(),
                (float) (1 - step.beta1()),
                (float) step.beta2(),
                (float) (1 - step.beta2()),
                (float) (step.learningRate() / (1 - StrictMath.pow(step.beta1(), step.step()))),
                (float) (1 / (1 - StrictMath.pow(step.beta2(), step.step()))),
                (float) step.epsilon(),
                (float) (1 - step.learningRate() * step.weightDecay()));
        elements(
                rows(parameter) * p.columns(),
                (from, to) -> Elementwise.adamW(
                        p.values(),
                        p.offset() + from,
                        g.values(),
                        g.offset() + from,
                        m.values(),
                        m.offset() + from,
                        v.values(),
                        v.offset() + from,
                        numbers,
                        to - from));
    }

    // ---- tier 2

    @Override
    public void swiGlu(Tensor out, Tensor gate, Tensor up) {
        CpuTensor o = written(out);
        CpuTensor a = of(gate);
        CpuTensor b = of(up);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.swiGlu(
                        o.values(),
                        o.offset() + from,
                        a.values(),
                        a.offset() + from,
                        b.values(),
                        b.offset() + from,
                        to - from));
    }

    @Override
    public void swiGluBackward(Tensor dgate, Tensor dup, Tensor gate, Tensor up, Tensor dy) {
        CpuTensor da = written(dgate);
        CpuTensor db = written(dup);
        CpuTensor a = of(gate);
        CpuTensor b = of(up);
        CpuTensor g = of(dy);
        elements(
                rows(dgate) * da.columns(),
                (from, to) -> Elementwise.swiGluBackward(
                        da.values(),
                        da.offset() + from,
                        db.values(),
                        db.offset() + from,
                        a.values(),
                        a.offset() + from,
                        b.values(),
                        b.offset() + from,
                        g.values(),
                        g.offset() + from,
                        to - from));
    }

    @Override
    public void addToRows(Tensor out, Tensor base, IntTensor index, Tensor x, Optional<Tensor> gate) {
        if (out != base) {
            copy(out, base);
        }
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuInts target = of(index);
        Optional<CpuTensor> gates = gate.map(this::of);
        eachRow(rows(x), o.columns(), i -> {
            float factor =
                    gates.isEmpty() ? 1f : gates.get().values()[gates.get().offset() + i];
            int at = o.rowOffset(checkedRow(target, i, o));
            Elementwise.scale(o.values(), at, a.values(), a.rowOffset(i), factor, true, o.columns());
        });
    }

    @Override
    public void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        double norm = Math.sqrt(scalar(sumOfSquares));
        setScalar(out, maxNorm == 0 ? 1 : Math.min(1, maxNorm / (norm + 1e-6)));
    }

    // ---- loops

    private float scalar(Tensor x) {
        CpuTensor t = of(x);
        return t.values()[t.offset()];
    }

    private void setScalar(Tensor out, double value) {
        CpuTensor o = written(out);
        o.values()[o.offset()] = (float) value;
    }

    private void elements(int n, Workers.Span span) {
        workers.split(n, ELEMENTS_PER_PART, span);
    }

    /** Something that is done for one row. */
    @FunctionalInterface
    private interface Row {
        void run(int row);
    }

    /** One number computed from one row. */
    @FunctionalInterface
    private interface RowValue {
        float of(int row);
    }

    /** Does it for every row; {@code work} in elements says how much there is to do in each. */
    private void eachRow(int rows, int work, Row row) {
        workers.split(rows, 1 + ELEMENTS_PER_PART / work, (from, to) -> {
            for (int i = from; i < to; i++) {
                row.run(i);
            }
        });
    }

    private void rowResult(Tensor out, int work, boolean accumulate, RowValue value) {
        CpuTensor o = written(out);
        eachRow(rows(out), work, i -> {
            int at = o.offset() + i;
            float result = value.of(i);
            o.values()[at] = accumulate ? o.values()[at] + result : result;
        });
    }
}
