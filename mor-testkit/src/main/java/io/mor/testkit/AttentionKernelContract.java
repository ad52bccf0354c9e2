package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Attention over ranges of entries. */
public interface AttentionKernelContract extends OnBench {

    /** Plain, grouped and single key heads. */
    List<AttentionShape> SHAPES = List.of(
            new AttentionShape(1, 1, 2),
            new AttentionShape(4, 2, 6),
            new AttentionShape(6, 1, 16),
            new AttentionShape(3, 3, 64));

    @Test
    default void attentionMixesTheValuesOfTheRange() {
        for (AttentionShape shape : SHAPES) {
            attention(bench().kernel().columns(31), shape, false);
        }
    }

    @Test
    default void attentionReadsKeysThroughATable() {
        for (AttentionShape shape : SHAPES) {
            attention(bench().kernel().columns(31), shape, true);
        }
    }

    @Test
    default void attentionOverLongRanges() {
        Batch[] batches = {Batch.exact(1), Batch.counted(13, 31)};
        attention(bench().kernel().columns(401).batches(batches), new AttentionShape(4, 2, 6), false);
        attention(bench().kernel().columns(401).batches(batches), new AttentionShape(4, 2, 6), true);
    }

    /** A query of identity i sees 1 to all of the keys, from the first, second or third on; the run's columns are the number of keys. */
    private static void attention(KernelCheck check, AttentionShape shape, boolean table) {
        check.check(run -> {
            int keyRows = run.columns();
            int[] rowOf = IntStream.range(0, keyRows)
                    .map(entry -> table ? (entry * 7 + 3) % keyRows : entry)
                    .toArray();
            Operand queries = run.rows("queries", shape.queryWidth(), -2, 2);
            Operand keys = run.matrix("keys", keyRows, shape.kvWidth(), -2, 2);
            Operand values = run.matrix("values", keyRows, shape.kvWidth());
            IntOperand start = run.rowInts("start", identity -> identity % 3);
            IntOperand end = run.rowInts("end", identity -> identity % 3 + 1 + identity * 13 % (keyRows - 2));
            Optional<IntTensor> entryRows =
                    table ? Optional.of(run.ints("entryRows", rowOf).tensor()) : Optional.empty();
            Operand out = run.rows("out", shape.queryWidth());
            Operand logSumExp = run.rows("logSumExp", shape.heads());
            run.backend()
                    .attention(
                            out.tensor(),
                            logSumExp.tensor(),
                            queries.tensor(),
                            keys.tensor(),
                            values.tensor(),
                            new AttentionRanges(start.tensor(), end.tensor(), entryRows, keyRows),
                            shape);
            AttentionModel model = new AttentionModel(queries, keys, values, start, end, rowOf, shape);
            logSumExp.expect(shape.headDim() + keyRows, model::logSumExp);
            out.expect(4 * shape.headDim() + keyRows, model::out);
        });
    }

    @Test
    default void attentionDoesNotOverflow() {
        AttentionShape shape = new AttentionShape(1, 1, 2);
        Tensor queries = backend().allocate(2, 2);
        Tensor keys = backend().allocate(2, 2);
        Tensor values = backend().allocate(2, 2);
        Tensor out = backend().allocate(2, 2);
        Tensor logSumExp = backend().allocate(2, 1);
        IntTensor start = backend().allocateInts(2);
        IntTensor end = backend().allocateInts(2);
        backend().write(queries, new double[] {64, 64, -64, -64});
        backend().write(keys, new double[] {64, 64, 32, 32}); // scores of thousands, all positive, then all negative
        backend().write(values, new double[] {1, 2, 3, 4});
        backend().fill(start, 0);
        backend().fill(end, 2);
        backend()
                .attention(
                        out,
                        logSumExp,
                        queries,
                        keys,
                        values,
                        new AttentionRanges(start, end, Optional.empty(), 2),
                        shape);
        assertArrayEquals(new double[] {1, 2, 3, 4}, backend().readDoubles(out));
    }

    @Test
    default void attentionBackwardIsTheSlope() {
        for (AttentionShape shape : List.of(new AttentionShape(1, 1, 2), new AttentionShape(4, 2, 6))) {
            bench().gradient(gradient -> {
                Backend on = gradient.backend();
                AttentionRanges ranges = new AttentionRanges(
                        gradient.ints(0, 0, 0, 3, 4), gradient.ints(1, 2, 3, 5, 7), Optional.empty(), 3);
                Tensor logSumExp = gradient.scratch(5, shape.heads());
                gradient.input("queries", 5, shape.queryWidth(), -2, 2)
                        .input("keys", 7, shape.kvWidth(), -2, 2)
                        .input("values", 7, shape.kvWidth(), -1, 1)
                        .check(
                                5,
                                shape.queryWidth(),
                                (in, out) -> on.attention(
                                        out,
                                        logSumExp,
                                        in.get("queries"),
                                        in.get("keys"),
                                        in.get("values"),
                                        ranges,
                                        shape),
                                (in, out, dout, to) -> on.attentionBackward(
                                        to.get("queries"),
                                        to.get("keys"),
                                        to.get("values"),
                                        in.get("queries"),
                                        in.get("keys"),
                                        in.get("values"),
                                        out,
                                        logSumExp,
                                        dout,
                                        ranges,
                                        shape));
            });
        }
    }

    @Test
    default void attentionBackwardEqualsTheReference() {
        for (AttentionShape shape : SHAPES) {
            attentionBackward(bench().kernel().columns(1, 2, 3), shape);
        }
        attentionBackward(
                bench().kernel().columns(1, 2, 3).batches(Batch.exact(131), Batch.counted(131, 257)),
                new AttentionShape(4, 2, 6));
    }

    /**
     * Sequences of 1, 5, 13 and all the other rows. The run's columns choose: 1 every row sees its sequence up to itself, 2 with a window
     * of 4, 3 twice as many keys as queries.
     */
    private static void attentionBackward(KernelCheck check, AttentionShape shape) {
        check.wholeBatch().check(run -> {
            int rows = run.rows();
            int spread = run.columns() == 3 ? 2 : 1;
            int[] starts = new int[run.batch().bound()];
            int[] ends = new int[run.batch().bound()];
            Arrays.fill(ends, 0x3fff_ffff);
            for (int row = 0; row < rows; row++) {
                int first = row < 1 ? 0 : row < 6 ? 1 : row < 19 ? 6 : 19;
                starts[row] = spread * (run.columns() == 2 ? Math.max(first, row - 3) : first);
                ends[row] = spread * row + 1;
            }
            Operand queries = run.rows("queries", shape.queryWidth(), -2, 2);
            Operand keys = run.matrix("keys", spread * rows, shape.kvWidth(), -2, 2);
            Operand values = run.matrix("values", spread * rows, shape.kvWidth());
            Operand dout = run.rows("dout", shape.queryWidth());
            Operand out = run.rows("out", shape.queryWidth());
            Operand logSumExp = run.rows("logSumExp", shape.heads());
            Operand dqueries = run.rows("dqueries", shape.queryWidth());
            Operand dkeys = run.matrix("dkeys", spread * rows, shape.kvWidth());
            Operand dvalues = run.matrix("dvalues", spread * rows, shape.kvWidth());
            AttentionRanges ranges = new AttentionRanges(
                    run.ints("start", starts).tensor(),
                    run.ints("end", ends).tensor(),
                    Optional.empty(),
                    Math.max(1, spread * rows));
            run.backend()
                    .attention(
                            out.tensor(),
                            logSumExp.tensor(),
                            queries.tensor(),
                            keys.tensor(),
                            values.tensor(),
                            ranges,
                            shape);
            Operand querySlope = run.rows("querySlope", shape.queryWidth());
            Operand keySlope = run.matrix("keySlope", spread * rows, shape.kvWidth(), (row, column) -> 0);
            Operand valueSlope = run.matrix("valueSlope", spread * rows, shape.kvWidth(), (row, column) -> 0);
            for (Operand[] gradients :
                    new Operand[][] {{querySlope, keySlope, valueSlope}, {dqueries, dkeys, dvalues}}) {
                run.backend()
                        .attentionBackward(
                                gradients[0].tensor(),
                                gradients[1].tensor(),
                                gradients[2].tensor(),
                                queries.tensor(),
                                keys.tensor(),
                                values.tensor(),
                                out.tensor(),
                                logSumExp.tensor(),
                                dout.tensor(),
                                ranges,
                                shape);
            }
            int terms = 8 * shape.headDim() + 4 * rows;
            querySlope.record(terms);
            dqueries.expect(terms, querySlope.now());
            Operand.Cell keysAdded = keySlope.now();
            Operand.Cell valuesAdded = valueSlope.now();
            dkeys.expect(terms, (row, column) -> dkeys.at(row, column) + keysAdded.at(row, column));
            dvalues.expect(terms, (row, column) -> dvalues.at(row, column) + valuesAdded.at(row, column));
        });
    }

    @Test
    default void attentionBackwardSetsTheGradientsThatItIsNotToldToAddTo() {
        for (AttentionShape shape : SHAPES) {
            double[][] added = keyGradients(shape, 0, true);
            double[][] set = keyGradients(shape, 7, false);
            assertArrayEquals(added[0], set[0], "dkeys of " + shape);
            assertArrayEquals(added[1], set[1], "dvalues of " + shape);
        }
    }

    /** Gradients of 7 keys and values that 5 queries see, into memory that holds something. */
    private double[][] keyGradients(AttentionShape shape, double held, boolean accumulate) {
        Tensor queries = ramp(5, shape.queryWidth(), 3);
        Tensor keys = ramp(7, shape.kvWidth(), 5);
        Tensor values = ramp(7, shape.kvWidth(), 7);
        Tensor dout = ramp(5, shape.queryWidth(), 11);
        Tensor out = backend().allocate(5, shape.queryWidth());
        Tensor logSumExp = backend().allocate(5, shape.heads());
        Tensor dqueries = backend().allocate(5, shape.queryWidth());
        Tensor dkeys = backend().allocate(7, shape.kvWidth());
        Tensor dvalues = backend().allocate(7, shape.kvWidth());
        IntTensor start = backend().allocateInts(5);
        IntTensor end = backend().allocateInts(5);
        backend().write(start, new int[] {0, 0, 0, 3, 4});
        backend().write(end, new int[] {1, 2, 3, 5, 6}); // nobody sees the last
        AttentionRanges ranges = new AttentionRanges(start, end, Optional.empty(), 3);
        backend().fill(dkeys, held);
        backend().fill(dvalues, held);
        backend().attention(out, logSumExp, queries, keys, values, ranges, shape);
        backend()
                .attentionBackward(
                        dqueries,
                        dkeys,
                        dvalues,
                        queries,
                        keys,
                        values,
                        out,
                        logSumExp,
                        dout,
                        ranges,
                        shape,
                        accumulate);
        return new double[][] {backend().readDoubles(dkeys), backend().readDoubles(dvalues)};
    }

    /** Different values from -1 to 1. */
    private Tensor ramp(int rows, int columns, int step) {
        Tensor tensor = backend().allocate(rows, columns);
        backend()
                .write(
                        tensor,
                        IntStream.range(0, rows * columns)
                                .mapToDouble(i -> (i * step % 33 - 16) / 16.0)
                                .toArray());
        return tensor;
    }

    @Test
    default void causalRangesEndAtTheQuerysPosition() {
        int[] offsets = {0, 4, 4, 10};
        int[] positions = {0, 1, 4, 7, 2, 3, 5, 8, 9, 11};
        for (int window : new int[] {0, 1, 3, 100}) {
            bench().kernel().columns(1).check(run -> {
                IntOperand sequence = run.rowInts("sequence", identity -> identity % 3);
                IntOperand position = run.rowInts("position", identity -> identity / 3 % 13);
                IntOperand start = run.rowInts("start", identity -> -1);
                IntOperand end = run.rowInts("end", identity -> -1);
                run.backend()
                        .causalRanges(
                                start.tensor(),
                                end.tensor(),
                                sequence.tensor(),
                                position.tensor(),
                                run.extent(),
                                run.ints("keyOffsets", offsets).tensor(),
                                run.ints("keyPosition", positions).tensor(),
                                window);
                end.expect(row ->
                        offsets[sequence.at(row)] + seen(offsets, positions, sequence.at(row), position.at(row)));
                start.expect(row -> {
                    int gone = window == 0 ? 0 : seen(offsets, positions, sequence.at(row), position.at(row) - window);
                    return offsets[sequence.at(row)] + gone;
                });
            });
        }
    }

    /** How many keys of a sequence are at most at a position. */
    private static int seen(int[] offsets, int[] positions, int sequence, int position) {
        return (int) Arrays.stream(positions, offsets[sequence], offsets[sequence + 1])
                .filter(p -> p <= position)
                .count();
    }
}
