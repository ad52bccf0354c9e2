package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Reduction;
import io.mor.api.tensor.Tensor;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Selection and random numbers. */
public interface SelectionKernelContract extends OnBench {

    @Test
    default void topKMaskMarksTheLargestOfEachGroupTheLowerRowOfEqualsFirst() {
        bench().kernel()
                .columns(1, 2, 5)
                .wholeBatch()
                .batches(
                        Batch.exact(0),
                        Batch.exact(1),
                        Batch.exact(7),
                        Batch.counted(0, 3),
                        Batch.counted(37, 64),
                        Batch.exact(1031))
                .check(run -> {
                    int levels = run.columns() == 5 ? 1 << 20 : 2 * run.columns(); // few levels: many equals
                    Operand scores = run.rows(
                            "scores", 1, (row, ignored) -> (int) run.uniform("scores", row, 0, 0, levels) / 64.0);
                    int[] offsets = offsets(run);
                    int[] k = IntStream.range(0, offsets.length - 1)
                            .map(group -> (offsets[group + 1] - offsets[group] + group) / 2)
                            .toArray();
                    for (int group = 0; group < k.length; group++) {
                        k[group] = Math.min(k[group], offsets[group + 1] - offsets[group]);
                    }
                    Operand out = run.rows("out", 1);
                    run.backend()
                            .topKMask(
                                    out.tensor(),
                                    scores.tensor(),
                                    run.ints("offsets", offsets).tensor(),
                                    run.ints("k", k).tensor());
                    out.expect(0, (row, ignored) -> {
                        int group = 0;
                        while (offsets[group + 1] <= row) {
                            group++;
                        }
                        int better = 0;
                        for (int other = offsets[group]; other < offsets[group + 1]; other++) {
                            boolean ahead = scores.at(other, 0) > scores.at(row, 0)
                                    || (scores.at(other, 0) == scores.at(row, 0) && other < row);
                            better += ahead ? 1 : 0;
                        }
                        return better < k[group] ? 1 : 0;
                    });
                });
    }

    /** Groups of 1, 0, 2, 4, ... rows, the last with the rest. */
    private static int[] offsets(KernelRun run) {
        int rows = run.rows();
        return new int[] {0, Math.min(1, rows), Math.min(1, rows), Math.min(3, rows), Math.min(7, rows), rows};
    }

    @Test
    default void topKMaskTakesNanForTheSmallest() {
        double nan = Double.NaN;
        Tensor scores = backend().allocate(6, 1);
        Tensor out = backend().allocate(6, 1);
        IntTensor offsets = backend().allocateInts(3);
        IntTensor k = backend().allocateInts(2);
        backend().write(scores, new double[] {nan, Double.NEGATIVE_INFINITY, 2, nan, nan, 1});
        backend().write(offsets, new int[] {0, 3, 6});
        backend().write(k, new int[] {2, 2});
        backend().topKMask(out, scores, offsets, k);
        assertArrayEquals(new double[] {0, 1, 1, 1, 0, 1}, backend().readDoubles(out));
    }

    @ParameterizedTest
    @EnumSource
    default void reduceGroupsMakesOneValuePerGroup(Reduction reduction) {
        bench().kernel().columns(1).wholeBatch().check(run -> {
            Operand x = run.rows("x", 1);
            int[] offsets = offsets(run);
            Operand out = run.matrix("out", 5, 1);
            run.backend()
                    .reduceGroups(
                            out.tensor(),
                            reduction,
                            x.tensor(),
                            run.ints("offsets", offsets).tensor());
            out.expect(run.rows(), (group, ignored) -> {
                double[] values = IntStream.range(offsets[group], offsets[group + 1])
                        .mapToDouble(row -> x.at(row, 0))
                        .toArray();
                return switch (reduction) {
                    case SUM -> Arrays.stream(values).sum();
                    case MAXIMUM -> Arrays.stream(values).max().orElse(Double.NEGATIVE_INFINITY);
                    case MINIMUM -> Arrays.stream(values).min().orElse(Double.POSITIVE_INFINITY);
                };
            });
        });
    }

    @Test
    default void compactListsTheMarkedRowsAscending() {
        bench().kernel()
                .columns(1, 2, 3, 4)
                .wholeBatch()
                .batches(
                        Batch.exact(0),
                        Batch.exact(1),
                        Batch.exact(7),
                        Batch.counted(0, 5),
                        Batch.counted(13, 64),
                        Batch.exact(1031),
                        Batch.counted(521, 1031))
                .check(run -> {
                    double share = (run.columns() - 1) / 3.0; // none, a third, two thirds, all
                    Operand mask = run.rows(
                            "mask",
                            1,
                            (row, ignored) -> run.uniform("mask", row, 0, 0, 1) < share ? 1 : row % 2 == 0 ? 0 : -1);
                    int[] marked = IntStream.range(0, run.rows())
                            .filter(row -> mask.at(row, 0) > 0)
                            .toArray();
                    IntOperand index = run.ints("index", new int[run.batch().bound()]);
                    IntOperand count = run.ints("count", -1);
                    run.backend().compact(index.tensor(), count.tensor(), mask.tensor());
                    count.expect(ignored -> marked.length);
                    index.expect(marked.length, i -> marked[i]);
                });
    }

    @Test
    default void compactOffsetsCountsTheSelectedRowsBeforeEachGroup() {
        bench().kernel().columns(1).wholeBatch().check(run -> {
            IntOperand index = run.rowInts("index", identity -> 3 * identity + 1);
            int[] offsets = {0, 1, 2, 2, 5, 22, 50, 500};
            IntOperand out = run.ints("out", new int[offsets.length]);
            run.backend()
                    .compactOffsets(
                            out.tensor(),
                            index.tensor(),
                            run.extent(),
                            run.ints("offsets", offsets).tensor());
            out.expect(group -> (int) IntStream.range(0, run.rows())
                    .filter(row -> index.at(row) < offsets[group])
                    .count());
        });
    }

    @Test
    default void uniformRowsDrawsTheKeysNumbers() {
        for (RandomKey key : keys()) {
            bench().kernel().columns(1).check(run -> {
                IntOperand high = run.rowInts("high", identity -> identity % 3);
                IntOperand low = run.rowInts("low", identity -> identity * 1_000_003);
                Operand out = run.rows("out", 1);
                run.backend().uniformRows(out.tensor(), key, high.tensor(), low.tensor());
                double[] drawn = run.backend().readDoubles(out.tensor());
                for (int row = 0; row < run.rows(); row++) {
                    assertEquals(
                            rounded(run, key.uniform(high.at(row), low.at(row))),
                            drawn[row],
                            "row " + row + " of " + key);
                }
                out.record(0);
            });
        }
    }

    @Test
    default void uniformDrawsTheKeysNumbers() {
        for (RandomKey key : keys()) {
            bench().kernel().wholeBatch().check(run -> {
                Operand out = run.fullRows("out", run.columns(), -1, 1);
                run.backend().uniform(out.tensor(), key);
                double[] drawn = run.backend().readDoubles(out.tensor());
                for (int i = 0; i < run.rows() * run.columns(); i++) {
                    assertEquals(rounded(run, key.uniform(0, i)), drawn[i], "element " + i + " of " + key);
                }
                out.record(0);
            });
        }
    }

    private static double rounded(KernelRun run, double value) {
        return KernelRun.round(value, run.backend().precision());
    }

    private static RandomKey[] keys() {
        return new RandomKey[] {
            new RandomKey(0, 0, 0),
            RandomKey.of(-7, "router", 1L << 40),
            new RandomKey(Long.MIN_VALUE, -1, Long.MAX_VALUE)
        };
    }
}
