package io.mor.testkit;

import io.mor.api.backend.AdamWStep;
import io.mor.api.backend.Backend;
import io.mor.api.backend.EntryTables;
import io.mor.api.backend.HostCopy;
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
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicReference;

/** A backend that passes every call on and describes each kernel's operands to its subclass on the way. Tensors are the delegate's own. */
abstract class InterceptedBackend implements Backend {

    final Backend delegate;

    InterceptedBackend(Backend delegate) {
        this.delegate = Objects.requireNonNull(delegate, "delegate is null");
    }

    /** Runs the kernel, and what the subclass has to do before and after. */
    abstract void around(KernelCall call, Runnable kernel);

    private static KernelCall call(String kernel) {
        return new KernelCall(kernel);
    }

    // ---- identity and memory

    @Override
    public String description() {
        return delegate.description();
    }

    @Override
    public Precision precision() {
        return delegate.precision();
    }

    @Override
    public Precision activationPrecision(int columns) {
        return delegate.activationPrecision(columns);
    }

    @Override
    public boolean rowIndependent() {
        return delegate.rowIndependent();
    }

    @Override
    public long logitsAtATime() {
        return delegate.logitsAtATime();
    }

    @Override
    public OptionalLong availableBytes() {
        return delegate.availableBytes();
    }

    @Override
    public long ownBytes(long parameters) {
        return delegate.ownBytes(parameters);
    }

    @Override
    public Tensor allocate(int rows, int columns) {
        return delegate.allocate(rows, columns);
    }

    @Override
    public Tensor allocate(int rows, int columns, Precision precision) {
        return delegate.allocate(rows, columns, precision);
    }

    @Override
    public IntTensor allocateInts(int length) {
        return delegate.allocateInts(length);
    }

    @Override
    public Tensor view(Tensor base, int firstRow, Extent extent, int columns) {
        return delegate.view(base, firstRow, extent, columns);
    }

    @Override
    public IntTensor view(IntTensor base, int first, int length) {
        return delegate.view(base, first, length);
    }

    @Override
    public void release(Tensor tensor) {
        delegate.release(tensor);
    }

    @Override
    public void release(IntTensor tensor) {
        delegate.release(tensor);
    }

    // ---- transfers

    @Override
    public void write(Tensor tensor, float[] values) {
        around(written(tensor, values.length), () -> delegate.write(tensor, values));
    }

    @Override
    public void write(Tensor tensor, double[] values) {
        around(written(tensor, values.length), () -> delegate.write(tensor, values));
    }

    private static KernelCall written(Tensor tensor, int length) {
        return call("write")
                .writes("tensor", tensor)
                .fillsToTheBound()
                .require(
                        length == tensor.rows() * tensor.columns(),
                        length + " values do not fill tensor " + KernelCall.shape(tensor));
    }

    @Override
    public void write(IntTensor tensor, int[] values) {
        around(
                call("write")
                        .writes("tensor", tensor)
                        .require(
                                values.length == tensor.length(),
                                values.length + " values do not fill tensor [" + tensor.length() + "]"),
                () -> delegate.write(tensor, values));
    }

    @Override
    public float[] readFloats(Tensor tensor) {
        float[][] values = new float[1][];
        around(call("readFloats").reads("tensor", tensor), () -> values[0] = delegate.readFloats(tensor));
        return values[0];
    }

    @Override
    public double[] readDoubles(Tensor tensor) {
        double[][] values = new double[1][];
        around(call("readDoubles").reads("tensor", tensor), () -> values[0] = delegate.readDoubles(tensor));
        return values[0];
    }

    @Override
    public int[] readInts(IntTensor tensor) {
        int[][] values = new int[1][];
        around(call("readInts").reads("tensor", tensor), () -> values[0] = delegate.readInts(tensor));
        return values[0];
    }

    // ---- element-wise

    @Override
    public void fill(Tensor out, double value) {
        around(call("fill").writes("out", out).fillsToTheBound(), () -> delegate.fill(out, value));
    }

    @Override
    public void fill(IntTensor out, int value) {
        around(call("fill").writes("out", out), () -> delegate.fill(out, value));
    }

    /** An element-wise kernel of one input. */
    private static KernelCall elementwise(String kernel, Tensor out, String name, Tensor x) {
        return call(kernel)
                .writes("out", out)
                .reads(name, x)
                .mayOverwriteInputs()
                .sameShape("out", out, name, x);
    }

    @Override
    public void copy(Tensor out, Tensor x) {
        around(elementwise("copy", out, "x", x), () -> delegate.copy(out, x));
    }

    @Override
    public void affine(Tensor out, Tensor x, double scale, double shift, boolean accumulate) {
        around(elementwise("affine", out, "x", x), () -> delegate.affine(out, x, scale, shift, accumulate));
    }

    @Override
    public void add(Tensor out, Tensor a, Tensor b, double scaleB) {
        around(
                elementwise("add", out, "a", a).reads("b", b).sameShape("out", out, "b", b),
                () -> delegate.add(out, a, b, scaleB));
    }

    @Override
    public void multiply(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        around(
                elementwise("multiply", out, "a", a).reads("b", b).sameShape("out", out, "b", b),
                () -> delegate.multiply(out, a, b, accumulate));
    }

    @Override
    public void unary(Tensor out, Unary function, Tensor x) {
        around(elementwise("unary", out, "x", x), () -> delegate.unary(out, function, x));
    }

    @Override
    public void unaryBackward(Tensor dx, Unary function, Tensor x, Tensor y, Tensor dy, boolean accumulate) {
        around(
                call("unaryBackward")
                        .writes("dx", dx)
                        .reads("x", x)
                        .reads("y", y)
                        .reads("dy", dy)
                        .mayOverwriteInputs()
                        .sameShape("dx", dx, "x", x)
                        .sameShape("dx", dx, "y", y)
                        .sameShape("dx", dx, "dy", dy),
                () -> delegate.unaryBackward(dx, function, x, y, dy, accumulate));
    }

    @Override
    public void compare(Tensor out, Tensor x, Comparison comparison, Tensor row) {
        around(
                elementwise("compare", out, "x", x).reads("row", row).shape("row", row, 1, x.columns()),
                () -> delegate.compare(out, x, comparison, row));
    }

    @Override
    public void compareElements(Tensor out, Tensor a, Comparison comparison, Tensor b) {
        around(
                elementwise("compareElements", out, "a", a).reads("b", b).sameShape("out", out, "b", b),
                () -> delegate.compareElements(out, a, comparison, b));
    }

    // ---- rows and columns

    private static KernelCall likeInput(String kernel, Tensor out, Tensor x) {
        return call(kernel).writes("out", out).reads("x", x).sameShape("out", out, "x", x);
    }

    @Override
    public void scaleRows(Tensor out, Tensor x, Tensor factors, boolean accumulate) {
        around(
                likeInput("scaleRows", out, x)
                        .reads("factors", factors)
                        .sameRows("x", x, "factors", factors)
                        .columns("factors", factors, 1),
                () -> delegate.scaleRows(out, x, factors, accumulate));
    }

    @Override
    public void addRow(Tensor out, Tensor x, Tensor row) {
        around(
                likeInput("addRow", out, x).reads("row", row).shape("row", row, 1, x.columns()),
                () -> delegate.addRow(out, x, row));
    }

    @Override
    public void multiplyRow(Tensor out, Tensor x, Tensor row, boolean accumulate) {
        around(
                likeInput("multiplyRow", out, x).reads("row", row).shape("row", row, 1, x.columns()),
                () -> delegate.multiplyRow(out, x, row, accumulate));
    }

    @Override
    public void broadcastColumn(Tensor out, Tensor column, boolean accumulate) {
        around(
                call("broadcastColumn")
                        .writes("out", out)
                        .reads("column", column)
                        .sameRows("out", out, "column", column)
                        .columns("column", column, 1),
                () -> delegate.broadcastColumn(out, column, accumulate));
    }

    @Override
    public void broadcastRow(Tensor out, Tensor row, double scale, boolean accumulate) {
        around(
                call("broadcastRow").writes("out", out).reads("row", row).shape("row", row, 1, out.columns()),
                () -> delegate.broadcastRow(out, row, scale, accumulate));
    }

    private static KernelCall perRow(String kernel, Tensor out, String name, Tensor x) {
        return call(kernel)
                .writes("out", out)
                .reads(name, x)
                .sameRows("out", out, name, x)
                .columns("out", out, 1);
    }

    @Override
    public void rowSum(Tensor out, Tensor x, boolean accumulate) {
        around(perRow("rowSum", out, "x", x), () -> delegate.rowSum(out, x, accumulate));
    }

    @Override
    public void rowDot(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        around(
                perRow("rowDot", out, "a", a).reads("b", b).sameShape("a", a, "b", b),
                () -> delegate.rowDot(out, a, b, accumulate));
    }

    @Override
    public void rowLogSumExp(Tensor out, Tensor x) {
        around(perRow("rowLogSumExp", out, "x", x), () -> delegate.rowLogSumExp(out, x));
    }

    @Override
    public void columnSum(Tensor out, Tensor x, double scale, boolean accumulate) {
        around(
                call("columnSum").writes("out", out).reads("x", x).shape("out", out, 1, x.columns()),
                () -> delegate.columnSum(out, x, scale, accumulate));
    }

    @Override
    public void columnDot(Tensor out, Tensor a, Tensor b, double scale, boolean accumulate) {
        around(
                call("columnDot")
                        .writes("out", out)
                        .reads("a", a)
                        .reads("b", b)
                        .shape("out", out, 1, a.columns())
                        .sameShape("a", a, "b", b),
                () -> delegate.columnDot(out, a, b, scale, accumulate));
    }

    @Override
    public void reciprocalCount(Tensor out, Extent extent) {
        KernelCall call = call("reciprocalCount").writes("out", out).shape("out", out, 1, 1);
        extent.count().ifPresent(count -> call.reads("count", count));
        around(call, () -> delegate.reciprocalCount(out, extent));
    }

    @Override
    public void sumOfSquares(Tensor out, Tensor x, boolean accumulate) {
        around(
                call("sumOfSquares").writes("out", out).reads("x", x).shape("out", out, 1, 1),
                () -> delegate.sumOfSquares(out, x, accumulate));
    }

    @Override
    public void softmax(Tensor out, Tensor x) {
        around(likeInput("softmax", out, x), () -> delegate.softmax(out, x));
    }

    @Override
    public void softmaxBackward(Tensor dx, Tensor y, Tensor dy, boolean accumulate) {
        around(
                call("softmaxBackward")
                        .writes("dx", dx)
                        .reads("y", y)
                        .reads("dy", dy)
                        .sameShape("dx", dx, "y", y)
                        .sameShape("dx", dx, "dy", dy),
                () -> delegate.softmaxBackward(dx, y, dy, accumulate));
    }

    @Override
    public void argMax(IntTensor out, Tensor x) {
        around(call("argMax").writes("out", out, x.extent()).reads("x", x), () -> delegate.argMax(out, x));
    }

    // ---- gather and scatter

    @Override
    public void gatherRows(Tensor out, Tensor x, IntTensor index, boolean accumulate) {
        around(
                call("gatherRows")
                        .writes("out", out)
                        .reads("x", x)
                        .columns("out", out, x.columns())
                        .readsIndices("index", index, out.extent(), x.rows()),
                () -> delegate.gatherRows(out, x, index, accumulate));
    }

    @Override
    public void scatterRows(Tensor out, IntTensor index, Tensor x) {
        around(
                call("scatterRows")
                        .writes("out", out)
                        .reads("x", x)
                        .columns("x", x, out.columns())
                        .readsDistinctIndices("index", index, x.extent(), Integer.MIN_VALUE, out.rows()),
                () -> delegate.scatterRows(out, index, x));
    }

    @Override
    public void scatterAddRows(Tensor out, IntTensor index, Tensor x) {
        around(
                call("scatterAddRows")
                        .writes("out", out)
                        .reads("x", x)
                        .columns("x", x, out.columns())
                        .readsIndices("index", index, x.extent(), out.rows()),
                () -> delegate.scatterAddRows(out, index, x));
    }

    @Override
    public void pickColumn(Tensor out, Tensor x, IntTensor column) {
        around(
                perRow("pickColumn", out, "x", x).readsIndices("column", column, x.extent(), x.columns()),
                () -> delegate.pickColumn(out, x, column));
    }

    @Override
    public void pickColumnBackward(Tensor dx, IntTensor column, Tensor dy) {
        around(
                call("pickColumnBackward")
                        .writes("dx", dx)
                        .reads("dy", dy)
                        .sameRows("dx", dx, "dy", dy)
                        .columns("dy", dy, 1)
                        .readsIndices("column", column, dx.extent(), dx.columns()),
                () -> delegate.pickColumnBackward(dx, column, dy));
    }

    @Override
    public void gatherInts(IntTensor out, IntTensor table, IntTensor index, Extent extent) {
        around(
                call("gatherInts")
                        .writes("out", out, extent)
                        .reads("table", table)
                        .readsIndices("index", index, extent, table.length()),
                () -> delegate.gatherInts(out, table, index, extent));
    }

    @Override
    public void toColumn(Tensor out, IntTensor values) {
        around(
                call("toColumn").writes("out", out).columns("out", out, 1).reads("values", values, out.extent()),
                () -> delegate.toColumn(out, values));
    }

    // ---- selection

    @Override
    public void topKMask(Tensor out, Tensor scores, IntTensor offsets, IntTensor k) {
        around(
                perRow("topKMask", out, "scores", scores)
                        .columns("scores", scores, 1)
                        .readsIndices("offsets", offsets, Extent.exact(offsets.length()), scores.rows() + 1)
                        .readsIndices("k", k, Extent.exact(k.length()), scores.rows() + 1)
                        .require(
                                offsets.length() == k.length() + 1,
                                "offsets [" + offsets.length() + "] must have one element more than k [" + k.length()
                                        + "]"),
                () -> delegate.topKMask(out, scores, offsets, k));
    }

    @Override
    public void reduceGroups(Tensor out, Reduction reduction, Tensor x, IntTensor offsets) {
        around(
                call("reduceGroups")
                        .writes("out", out)
                        .reads("x", x)
                        .columns("x", x, 1)
                        .shape("out", out, offsets.length() - 1, 1)
                        .readsIndices("offsets", offsets, Extent.exact(offsets.length()), x.rows() + 1),
                () -> delegate.reduceGroups(out, reduction, x, offsets));
    }

    @Override
    public void compact(IntTensor index, IntTensor count, Tensor mask) {
        around(
                call("compact")
                        .reads("mask", mask)
                        .columns("mask", mask, 1)
                        .writes("count", count)
                        .atLeast("count", count, 1)
                        .atLeast("index", index, mask.rows())
                        .writes("index", index, Extent.counted(index.length(), count)),
                () -> delegate.compact(index, count, mask));
    }

    @Override
    public void compactOffsets(IntTensor out, IntTensor index, Extent selected, IntTensor offsets) {
        around(
                call("compactOffsets")
                        .writes("out", out)
                        .atLeast("out", out, offsets.length())
                        .reads("offsets", offsets)
                        .readsDistinctIndices("index", index, selected, 0, Integer.MAX_VALUE),
                () -> delegate.compactOffsets(out, index, selected, offsets));
    }

    @Override
    public void uniformRows(Tensor out, RandomKey key, IntTensor high, IntTensor low) {
        around(
                call("uniformRows")
                        .writes("out", out)
                        .columns("out", out, 1)
                        .reads("high", high, out.extent())
                        .reads("low", low, out.extent()),
                () -> delegate.uniformRows(out, key, high, low));
    }

    @Override
    public void uniform(Tensor out, RandomKey key) {
        around(call("uniform").writes("out", out), () -> delegate.uniform(out, key));
    }

    // ---- layers

    @Override
    public void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
        KernelCall call = call("matmul")
                .writes("out", out)
                .reads("a", a)
                .reads("b", b)
                .columns("out", out, transposeB ? b.rows() : b.columns());
        int inner = transposeA ? a.rows() : a.columns();
        int innerOfB = transposeB ? b.columns() : b.rows();
        String operands = "a " + KernelCall.shape(a) + (transposeA ? "T" : "") + " and b " + KernelCall.shape(b)
                + (transposeB ? "T" : "");
        call.require(inner == innerOfB, operands + " do not fit: " + inner + " and " + innerOfB + " terms");
        if (transposeA) {
            call.require(
                    out.rows() == a.columns(), "out " + KernelCall.shape(out) + " must have " + a.columns() + " rows");
            if (!transposeB) {
                call.sameRows("a", a, "b", b);
            }
        } else {
            call.sameRows("out", out, "a", a);
        }
        around(call, () -> delegate.matmul(out, a, transposeA, b, transposeB, accumulate));
    }

    private static void variants(KernelCall call, Optional<IntTensor> variant, Tensor x, Tensor weight) {
        variant.ifPresent(chosen -> call.readsIndices("variant", chosen, x.extent(), weight.rows()));
        call.require(weight.rows() > 0, "weight has no rows");
    }

    @Override
    public void rmsNorm(Tensor out, Tensor rstd, Tensor x, Tensor weight, Optional<IntTensor> variant, double epsilon) {
        KernelCall call = likeInput("rmsNorm", out, x)
                .writes("rstd", rstd)
                .reads("weight", weight)
                .sameRows("x", x, "rstd", rstd)
                .columns("rstd", rstd, 1)
                .columns("weight", weight, x.columns());
        variants(call, variant, x, weight);
        around(call, () -> delegate.rmsNorm(out, rstd, x, weight, variant, epsilon));
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
        KernelCall call = call("rmsNormBackward")
                .writes("dx", dx)
                .writes("dweight", dweight)
                .reads("x", x)
                .reads("rstd", rstd)
                .reads("weight", weight)
                .reads("dy", dy)
                .sameShape("dx", dx, "x", x)
                .sameShape("dx", dx, "dy", dy)
                .sameRows("x", x, "rstd", rstd)
                .columns("rstd", rstd, 1)
                .columns("weight", weight, x.columns())
                .sameShape("dweight", dweight, "weight", weight);
        variants(call, variant, x, weight);
        around(call, () -> delegate.rmsNormBackward(dx, dweight, x, rstd, weight, variant, dy, accumulate));
    }

    @Override
    public void rope(Tensor out, Tensor x, IntTensor position, int headDim, double theta, boolean inverse) {
        around(
                likeInput("rope", out, x)
                        .mayOverwriteInputs()
                        .reads("position", position, x.extent())
                        .require(headDim > 0 && headDim % 2 == 0, "a head width of " + headDim + " is not even")
                        .require(
                                x.columns() % Math.max(1, headDim) == 0,
                                "x " + KernelCall.shape(x) + " is not whole heads of " + headDim),
                () -> delegate.rope(out, x, position, headDim, theta, inverse));
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
        around(
                call("attention")
                        .writes("out", out)
                        .writes("logSumExp", logSumExp)
                        .reads("queries", queries)
                        .reads("keys", keys)
                        .reads("values", values)
                        .sameShape("out", out, "queries", queries)
                        .sameRows("queries", queries, "logSumExp", logSumExp)
                        .columns("logSumExp", logSumExp, shape.heads())
                        .columns("queries", queries, shape.queryWidth())
                        .columns("keys", keys, shape.kvWidth())
                        .sameShape("keys", keys, "values", values)
                        .reads(ranges, queries.extent(), keys.rows()),
                () -> delegate.attention(out, logSumExp, queries, keys, values, ranges, shape));
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
        around(
                call("attentionBackward")
                        .writes("dqueries", dqueries)
                        .writes("dkeys", dkeys)
                        .writes("dvalues", dvalues)
                        .reads("queries", queries)
                        .reads("keys", keys)
                        .reads("values", values)
                        .reads("out", out)
                        .reads("logSumExp", logSumExp)
                        .reads("dout", dout)
                        .sameShape("dqueries", dqueries, "queries", queries)
                        .sameShape("out", out, "queries", queries)
                        .sameShape("dout", dout, "queries", queries)
                        .sameRows("queries", queries, "logSumExp", logSumExp)
                        .columns("logSumExp", logSumExp, shape.heads())
                        .columns("queries", queries, shape.queryWidth())
                        .columns("keys", keys, shape.kvWidth())
                        .sameShape("keys", keys, "values", values)
                        .sameShape("dkeys", dkeys, "keys", keys)
                        .sameShape("dvalues", dvalues, "values", values)
                        .require(ranges.entryRows().isEmpty(), "there are no gradients through a table of entries")
                        .reads(ranges, queries.extent(), keys.rows()),
                () -> delegate.attentionBackward(
                        dqueries, dkeys, dvalues, queries, keys, values, out, logSumExp, dout, ranges, shape));
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
        around(
                call("causalRanges")
                        .writes("start", start, queries)
                        .writes("end", end, queries)
                        .readsIndices("querySequence", querySequence, queries, keyOffsets.length() - 1)
                        .reads("queryPosition", queryPosition, queries)
                        .readsIndices(
                                "keyOffsets", keyOffsets, Extent.exact(keyOffsets.length()), keyPosition.length() + 1)
                        .reads("keyPosition", keyPosition)
                        .require(window >= 0, "a window of " + window + " positions is negative"),
                () -> delegate.causalRanges(
                        start, end, querySequence, queryPosition, queries, keyOffsets, keyPosition, window));
    }

    @Override
    public void crossEntropy(Tensor out, Tensor logits, IntTensor target) {
        around(
                perRow("crossEntropy", out, "logits", logits)
                        .readsIndices("target", target, logits.extent(), logits.columns()),
                () -> delegate.crossEntropy(out, logits, target));
    }

    @Override
    public void crossEntropyBackward(Tensor dlogits, Tensor logits, IntTensor target, Tensor dy) {
        around(
                call("crossEntropyBackward")
                        .writes("dlogits", dlogits)
                        .reads("logits", logits)
                        .reads("dy", dy)
                        .mayOverwriteInputs()
                        .sameShape("dlogits", dlogits, "logits", logits)
                        .sameRows("logits", logits, "dy", dy)
                        .columns("dy", dy, 1)
                        .readsIndices("target", target, logits.extent(), logits.columns()),
                () -> delegate.crossEntropyBackward(dlogits, logits, target, dy));
    }

    // ---- entry tables

    private static KernelCall rowsOfBatch(
            KernelCall call,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent) {
        int lists = tables.length().length();
        return call.reads("reserved", tables.reserved())
                .atLeast("rows", tables.rows(), lists * tables.capacity())
                .atLeast("positions", tables.positions(), lists * tables.capacity())
                .atLeast("reserved", tables.reserved(), lists * tables.capacity())
                .atLeast("written", tables.written(), lists)
                .readsIndices("sequence", sequence, extent, lists / Math.max(1, tables.recursions()))
                .reads("position", position, extent)
                .readsIndices("recursion", recursion, extent, tables.recursions() + 1);
    }

    @Override
    public void appendEntries(
            IntTensor poolRow,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent) {
        KernelCall call = call("appendEntries")
                .writes("poolRow", poolRow, extent)
                .writes("rows", tables.rows())
                .writes("positions", tables.positions())
                .writes("length", tables.length())
                .writes("written", tables.written());
        around(
                rowsOfBatch(call, tables, sequence, position, recursion, extent),
                () -> delegate.appendEntries(poolRow, tables, sequence, position, recursion, extent));
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
        KernelCall call = call("entryRanges")
                .writes("start", start, extent)
                .writes("end", end, extent)
                .reads("rows", tables.rows())
                .reads("positions", tables.positions())
                .reads("length", tables.length())
                .reads("written", tables.written());
        around(
                rowsOfBatch(call, tables, sequence, position, recursion, extent),
                () -> delegate.entryRanges(start, end, tables, sequence, position, recursion, extent));
    }

    // ---- optimizer and fused forms

    @Override
    public void adamW(
            Tensor parameter,
            Tensor gradient,
            Tensor firstMoment,
            Tensor secondMoment,
            Tensor gradientScale,
            AdamWStep step) {
        around(
                call("adamW")
                        .writes("parameter", parameter)
                        .writes("firstMoment", firstMoment)
                        .writes("secondMoment", secondMoment)
                        .reads("gradient", gradient)
                        .reads("gradientScale", gradientScale)
                        .sameShape("parameter", parameter, "gradient", gradient)
                        .sameShape("parameter", parameter, "firstMoment", firstMoment)
                        .sameShape("parameter", parameter, "secondMoment", secondMoment)
                        .shape("gradientScale", gradientScale, 1, 1)
                        .require(step.step() >= 1, "step " + step.step() + " is before the first, 1"),
                () -> delegate.adamW(parameter, gradient, firstMoment, secondMoment, gradientScale, step));
    }

    @Override
    public void swiGlu(Tensor out, Tensor gate, Tensor up) {
        around(
                call("swiGlu")
                        .writes("out", out)
                        .reads("gate", gate)
                        .reads("up", up)
                        .sameShape("out", out, "gate", gate)
                        .sameShape("out", out, "up", up),
                () -> delegate.swiGlu(out, gate, up));
    }

    @Override
    public void swiGluBackward(Tensor dgate, Tensor dup, Tensor gate, Tensor up, Tensor dy) {
        around(
                call("swiGluBackward")
                        .writes("dgate", dgate)
                        .writes("dup", dup)
                        .reads("gate", gate)
                        .reads("up", up)
                        .reads("dy", dy)
                        .sameShape("dgate", dgate, "gate", gate)
                        .sameShape("dup", dup, "up", up)
                        .sameShape("gate", gate, "up", up)
                        .sameShape("gate", gate, "dy", dy),
                () -> delegate.swiGluBackward(dgate, dup, gate, up, dy));
    }

    @Override
    public void addToRows(Tensor out, Tensor base, IntTensor index, Tensor x, Optional<Tensor> gate) {
        KernelCall call = call("addToRows")
                .writes("out", out)
                .reads("base", base)
                .reads("x", x)
                .mayOverwriteInputs()
                .sameShape("out", out, "base", base)
                .columns("x", x, base.columns())
                .readsDistinctIndices("index", index, x.extent(), 0, base.rows());
        gate.ifPresent(factor ->
                call.reads("gate", factor).sameRows("x", x, "gate", factor).columns("gate", factor, 1));
        around(call, () -> delegate.addToRows(out, base, index, x, gate));
    }

    @Override
    public void sumOfSquares(Tensor out, List<Tensor> tensors) {
        KernelCall call = call("sumOfSquares").writes("out", out).shape("out", out, 1, 1);
        for (int i = 0; i < tensors.size(); i++) {
            call.reads("tensors[" + i + "]", tensors.get(i));
        }
        around(call, () -> delegate.sumOfSquares(out, tensors));
    }

    @Override
    public HostCopy readLater(Tensor tensor) {
        AtomicReference<HostCopy> values = new AtomicReference<>();
        around(call("readLater").reads("tensor", tensor), () -> values.set(delegate.readLater(tensor)));
        return values.get();
    }

    @Override
    public void repeated(Object key, Runnable work) {
        delegate.repeated(key, work);
    }

    @Override
    public void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        around(
                call("clipFactor")
                        .writes("out", out)
                        .reads("sumOfSquares", sumOfSquares)
                        .shape("out", out, 1, 1)
                        .shape("sumOfSquares", sumOfSquares, 1, 1),
                () -> delegate.clipFactor(out, sumOfSquares, maxNorm));
    }

    @Override
    public void close() {
        delegate.close();
    }
}
