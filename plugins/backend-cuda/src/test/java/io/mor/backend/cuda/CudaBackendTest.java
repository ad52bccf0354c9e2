package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import io.mor.testkit.BackendContract;
import io.mor.testkit.Batch;
import io.mor.testkit.IntOperand;
import io.mor.testkit.Operand;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The invariant mode, and the sizes at which these kernels change how they work. Needs a GPU. */
@RequiresGpu
class CudaBackendTest extends BackendContract {

    /** Keeps the device's context, which every test would otherwise make anew. */
    private static CudaBackend keeper;

    @BeforeAll
    static void keepTheContext() {
        keeper = Gpu.open(CudaMode.INVARIANT);
    }

    @AfterAll
    static void letTheContextGo() {
        keeper.close();
    }

    @Override
    protected Backend createBackend() {
        return Gpu.open(CudaMode.INVARIANT);
    }

    @Test
    void rowIndependenceIsPromised() {
        assertTrue(backend().rowIndependent());
    }

    @Test
    void whatIsWrittenManyTimesBetweenLaunchesIsReadByThoseThatFollowIt() {
        int numbers = 1 << 16; // 256 KiB, so that the rounds go once and a half round what is staged
        int rounds = 24;
        IntTensor written = backend().allocateInts(numbers);
        IntTensor few = backend().allocateInts(3);
        Tensor[] read = new Tensor[2 * rounds];
        Tensor[] readFew = new Tensor[2 * rounds];
        for (int i = 0; i < read.length; i++) {
            read[i] = backend().allocate(numbers, 1);
            readFew[i] = backend().allocate(3, 1);
        }
        for (int round = 0; round < rounds; round++) {
            int first = 2 * round;
            backend().repeated("a round", () -> {
                for (int i = first; i < first + 2; i++) {
                    backend().write(written, numbersOf(i, numbers));
                    backend().toColumn(read[i], written);
                    backend().write(few, numbersOf(i, 3));
                    backend().toColumn(readFew[i], few);
                }
            });
        }
        for (int i = 0; i < read.length; i++) {
            double[] expected =
                    IntStream.of(numbersOf(i, numbers)).asDoubleStream().toArray();
            assertArrayEquals(expected, backend().readDoubles(read[i]), "write " + i);
            assertArrayEquals(
                    IntStream.of(numbersOf(i, 3)).asDoubleStream().toArray(),
                    backend().readDoubles(readFew[i]));
        }
    }

    private static int[] numbersOf(int write, int count) {
        return IntStream.range(0, count).map(i -> 70_000 * write + i).toArray(); // below 2^24
    }

    @Test
    void rowsOfManyColumnsAreReducedByABlock() {
        bench().kernel()
                .columns(1023, 1024, 1025, 2049, 49157)
                .batches(Batch.exact(1), Batch.counted(3, 5))
                .bothWays()
                .check(run -> {
                    int width = run.columns();
                    Operand x = run.rows("x", width);
                    Operand y = run.rows("y", width);
                    Operand sum = run.rows("sum", 1);
                    Operand dot = run.rows("dot", 1);
                    Operand logSumExp = run.rows("logSumExp", 1);
                    Operand softmax = run.rows("softmax", width);
                    Operand slope = run.rows("slope", width);
                    run.backend().rowSum(sum.tensor(), x.tensor(), run.accumulate());
                    run.backend().rowDot(dot.tensor(), x.tensor(), y.tensor(), run.accumulate());
                    run.backend().rowLogSumExp(logSumExp.tensor(), x.tensor());
                    run.backend().softmax(softmax.tensor(), x.tensor());
                    run.backend().softmaxBackward(slope.tensor(), softmax.tensor(), y.tensor(), run.accumulate());
                    sum.record(width);
                    dot.record(width);
                    logSumExp.record(width);
                    softmax.record(width);
                    slope.record(width);
                });
    }

    @Test
    void lossesAndNormsOfManyColumnsAreReducedByABlock() {
        bench().kernel()
                .columns(1025, 49157)
                .batches(Batch.exact(1), Batch.counted(3, 5))
                .check(run -> {
                    int width = run.columns();
                    Operand x = run.rows("x", width);
                    IntOperand target = run.rowIndices("target", width);
                    IntOperand largest = run.rowInts("largest", identity -> -1);
                    Operand loss = run.rows("loss", 1);
                    Operand slope = run.rows("slope", width);
                    Operand dy = run.rows("dy", 1);
                    Operand weight = run.matrix("weight", 1, width);
                    Operand rstd = run.rows("rstd", 1);
                    Operand norm = run.rows("norm", width);
                    Operand dx = run.rows("dx", width);
                    Operand dweight = run.matrix("dweight", 1, width);
                    run.backend().crossEntropy(loss.tensor(), x.tensor(), target.tensor());
                    run.backend().crossEntropyBackward(slope.tensor(), x.tensor(), target.tensor(), dy.tensor());
                    run.backend().argMax(largest.tensor(), x.tensor());
                    run.backend()
                            .rmsNorm(norm.tensor(), rstd.tensor(), x.tensor(), weight.tensor(), Optional.empty(), 1e-5);
                    run.backend()
                            .rmsNormBackward(
                                    dx.tensor(),
                                    dweight.tensor(),
                                    x.tensor(),
                                    rstd.tensor(),
                                    weight.tensor(),
                                    Optional.empty(),
                                    norm.tensor(),
                                    false);
                    loss.record(width);
                    slope.record(width);
                    norm.record(width);
                    dx.record(4 * width);
                    largest.expect(row -> IntStream.range(0, width)
                            .boxed()
                            .max((a, b) ->
                                    x.at(row, a) == x.at(row, b) ? b - a : Double.compare(x.at(row, a), x.at(row, b)))
                            .get());
                });
    }

    @Test
    void columnsOfManyRowsAreSummedInChunks() {
        bench().kernel()
                .columns(1, 33)
                .batches(Batch.exact(257), Batch.exact(1031), Batch.counted(300, 1031), Batch.counted(0, 1031))
                .wholeBatch()
                .bothWays()
                .check(run -> {
                    Operand x = run.rows("x", run.columns());
                    Operand y = run.rows("y", run.columns());
                    Operand sum = run.matrix("sum", 1, run.columns());
                    Operand dot = run.matrix("dot", 1, run.columns());
                    Operand squares = run.matrix("squares", 1, 1);
                    run.backend().columnSum(sum.tensor(), x.tensor(), 0.25, run.accumulate());
                    run.backend().columnDot(dot.tensor(), x.tensor(), y.tensor(), 0.25, run.accumulate());
                    run.backend().sumOfSquares(squares.tensor(), x.tensor(), run.accumulate());
                    sum.record(run.rows());
                    dot.record(run.rows());
                    squares.record(run.rows() * run.columns());
                });
    }

    @Test
    void productsOfOddSizesCrossTilesAndChunks() {
        for (boolean transposeA : new boolean[] {false, true}) {
            for (boolean transposeB : new boolean[] {false, true}) {
                for (int[] size :
                        new int[][] {{129, 131, 127}, {130, 257, 9}, {33, 31, 2053}, {300, 170, 1025}, {1, 1000, 64}}) {
                    product(size[0], size[1], size[2], transposeA, transposeB);
                }
            }
        }
    }

    private void product(int m, int n, int inner, boolean transposeA, boolean transposeB) {
        bench().kernel()
                .columns(1)
                .batches(Batch.exact(1))
                .wholeBatch()
                .bothWays()
                .check(run -> {
                    Operand a = transposeA ? run.matrix("a", inner, m) : run.matrix("a", m, inner);
                    Operand b = transposeB ? run.matrix("b", n, inner) : run.matrix("b", inner, n);
                    Operand out = run.matrix("out", m, n);
                    run.backend()
                            .matmul(out.tensor(), a.tensor(), transposeA, b.tensor(), transposeB, run.accumulate());
                    out.record(inner);
                });
    }

    @Test
    void repeatedRowsAreSortedBeyondOneBlocksKeys() {
        for (int rows : new int[] {2047, 2048, 2049, 5003, 40009}) {
            Random random = new Random(rows);
            int[] index = random.ints(rows, 0, 97).toArray();
            float[] values = new float[rows];
            for (int i = 0; i < rows; i++) {
                values[i] = (float) random.nextGaussian() * (1 << random.nextInt(20));
            }
            float[] expected = new float[97]; // in ascending order, each sum rounded: the same bits
            for (int i = 0; i < rows; i++) {
                expected[index[i]] += values[i];
            }
            Tensor x = backend().allocate(rows, 1);
            Tensor out = backend().allocate(97, 1);
            IntTensor at = backend().allocateInts(rows);
            backend().write(x, values);
            backend().write(at, index);
            backend().fill(out, 0);
            backend().scatterAddRows(out, at, x);
            assertArrayEquals(expected, backend().readFloats(out), rows + " rows");
        }
    }

    @Test
    void selectionWorksBeyondOneBlocksRows() {
        int rows = 100_003;
        Random random = new Random(7);
        double[] values = new double[rows];
        for (int i = 0; i < rows; i++) {
            values[i] = random.nextInt(50) - 25; // many equals
        }
        Tensor scores = backend().allocate(rows, 1);
        Tensor mask = backend().allocate(rows, 1);
        IntTensor offsets = backend().allocateInts(3);
        IntTensor k = backend().allocateInts(2);
        IntTensor index = backend().allocateInts(rows);
        IntTensor count = backend().allocateInts(1);
        backend().write(scores, values);
        backend().write(offsets, new int[] {0, 60_000, rows});
        backend().write(k, new int[] {12_345, 40_003});
        backend().topKMask(mask, scores, offsets, k);
        backend().compact(index, count, mask);
        int[] best = IntStream.range(0, 60_000)
                .boxed()
                .sorted((a, b) -> Double.compare(values[b], values[a])) // stable
                .limit(12_345)
                .mapToInt(Integer::intValue)
                .sorted()
                .toArray();
        int[] expected = IntStream.concat(IntStream.of(best), IntStream.range(60_000, rows))
                .toArray();
        assertEquals(expected.length, backend().readInts(count)[0]);
        assertArrayEquals(expected, backend().readInts(backend().view(index, 0, expected.length)));
    }

    @Test
    void headsWiderThanABlockWork() {
        for (AttentionShape shape : new AttentionShape[] {
            new AttentionShape(2, 1, 128), new AttentionShape(2, 2, 130), new AttentionShape(2, 1, 258)
        }) {
            bench().kernel()
                    .columns(1)
                    .batches(Batch.exact(37), Batch.counted(13, 64))
                    .wholeBatch()
                    .check(run -> {
                        int rows = run.rows();
                        Operand queries = run.rows("queries", shape.queryWidth());
                        Operand keys = run.matrix("keys", rows, shape.kvWidth());
                        Operand values = run.matrix("values", rows, shape.kvWidth());
                        Operand dout = run.rows("dout", shape.queryWidth());
                        IntOperand start = run.rowInts("start", identity -> 0);
                        IntOperand end = run.rowInts("end", identity -> identity + 1);
                        AttentionRanges ranges =
                                new AttentionRanges(start.tensor(), end.tensor(), Optional.empty(), rows);
                        Operand out = run.rows("out", shape.queryWidth());
                        Operand logSumExp = run.rows("logSumExp", shape.heads());
                        Operand dqueries = run.rows("dqueries", shape.queryWidth());
                        Operand dkeys = run.matrix("dkeys", rows, shape.kvWidth());
                        Operand dvalues = run.matrix("dvalues", rows, shape.kvWidth());
                        run.backend()
                                .attention(
                                        out.tensor(),
                                        logSumExp.tensor(),
                                        queries.tensor(),
                                        keys.tensor(),
                                        values.tensor(),
                                        ranges,
                                        shape);
                        run.backend()
                                .attentionBackward(
                                        dqueries.tensor(),
                                        dkeys.tensor(),
                                        dvalues.tensor(),
                                        queries.tensor(),
                                        keys.tensor(),
                                        values.tensor(),
                                        out.tensor(),
                                        logSumExp.tensor(),
                                        dout.tensor(),
                                        ranges,
                                        shape);
                        int terms = 8 * shape.headDim() + 4 * rows;
                        out.record(terms);
                        logSumExp.record(terms);
                        dqueries.record(terms);
                        dkeys.record(terms);
                        dvalues.record(terms);
                    });
        }
    }

    @Test
    void aQueryThatSeesNothingGivesZeros() {
        AttentionShape shape = new AttentionShape(1, 1, 4);
        Tensor queries = backend().allocate(2, 4);
        Tensor keys = backend().allocate(3, 4);
        Tensor out = backend().allocate(2, 4);
        Tensor logSumExp = backend().allocate(2, 1);
        Tensor dqueries = backend().allocate(2, 4);
        Tensor dkeys = backend().allocate(3, 4);
        Tensor dvalues = backend().allocate(3, 4);
        IntTensor start = backend().allocateInts(2);
        IntTensor end = backend().allocateInts(2);
        for (Tensor tensor : new Tensor[] {queries, keys}) {
            backend().fill(tensor, 1);
        }
        backend().fill(dkeys, 0);
        backend().fill(dvalues, 0);
        backend().write(start, new int[] {2, 0});
        backend().write(end, new int[] {2, 1});
        AttentionRanges ranges = new AttentionRanges(start, end, Optional.empty(), 3);
        backend().attention(out, logSumExp, queries, keys, keys, ranges, shape);
        backend()
                .attentionBackward(
                        dqueries, dkeys, dvalues, queries, keys, keys, out, logSumExp, queries, ranges, shape);
        assertArrayEquals(new float[] {0, 0, 0, 0, 1, 1, 1, 1}, backend().readFloats(out));
        assertEquals(Float.NEGATIVE_INFINITY, backend().readFloats(logSumExp)[0]);
        assertArrayEquals(new float[8], backend().readFloats(dqueries));
        assertArrayEquals(
                new float[] {1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}, backend().readFloats(dvalues));
    }

    @Test
    void outOfMemorySaysWhatIsHeld() {
        Tensor held = backend().allocate(1 << 20, 3);
        OutOfMemoryError error =
                assertThrows(OutOfMemoryError.class, () -> backend().allocate(1 << 30, 1 << 10));
        assertTrue(error.getMessage().contains("tensor [1073741824, 1024]"), error.getMessage());
        assertTrue(error.getMessage().contains("GPU 0"), error.getMessage());
        String holds = "this backend holds " + (((CudaBackend) backend()).usedBytes() >> 20) + " MiB";
        assertTrue(error.getMessage().contains(holds), () -> error.getMessage() + " does not say: " + holds);
        backend().release(held);
    }

    @Test
    void fiftyRoundsOfOpeningAndClosingLeaveNoMemoryBehind() {
        long before = 0;
        for (int round = 0; round < 50; round++) {
            try (CudaBackend other = Gpu.open(CudaMode.FAST)) {
                Tensor a = other.allocate(1000, 1000);
                other.fill(a, 1);
                Tensor out = other.allocate(1000, 1000);
                other.matmul(out, a, false, a, true, false);
                assertEquals(1000, other.readFloats(out)[0]);
            }
            long free = ((CudaBackend) backend()).freeBytes();
            if (round == 0) {
                before = free; // the driver keeps a little for code that was loaded once
            } else {
                assertTrue(
                        before - free < 8 << 20,
                        "round " + round + ": " + before + " bytes were free after the first round, now " + free);
            }
        }
    }

    @Test
    void theBackendMayMoveToAnotherThread() throws InterruptedException {
        Tensor x = backend().allocate(3, 1);
        backend().fill(x, 1);
        Thread thread = new Thread(() -> backend().affine(x, x, 2, 1, false));
        thread.start();
        thread.join();
        assertArrayEquals(new float[] {3, 3, 3}, backend().readFloats(x));
    }

    @Test
    void useAfterClosingIsRefused() {
        CudaBackend other = Gpu.open(CudaMode.INVARIANT);
        Tensor x = other.allocate(3, 1);
        other.close();
        IllegalStateException refusal = assertThrows(IllegalStateException.class, () -> other.fill(x, 1));
        assertTrue(refusal.getMessage().contains("closed"), refusal.getMessage());
    }
}
