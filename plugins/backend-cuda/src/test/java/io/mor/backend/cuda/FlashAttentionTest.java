package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.mor.api.backend.Precision;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The tensor-core attention beside the general kernel in single precision, on the same values. Needs a GPU and libcublasLt. */
@RequiresGpu
class FlashAttentionTest {

    private static final long SEED = 23;
    private static final double MOST_OUT = 6e-3; // of the norm; bfloat16 rounds by up to 3.9e-3
    private static final double MOST_GRADIENT = 1e-2;
    private static final double MOST_STATISTIC = 1e-3;

    private static final List<AttentionShape> SHAPES = List.of(
            new AttentionShape(6, 2, 64),
            new AttentionShape(3, 3, 64),
            new AttentionShape(5, 1, 64),
            new AttentionShape(6, 2, 32),
            new AttentionShape(4, 1, 128));

    /** From this length on Hopper's gradients are taken in one pass. */
    private static final int ONE_PASS = 1024;

    private CudaBackend backend;
    private int atLeast; // what calls say that their longest range may be, where it is less

    /** Which entries the rows of a call see. */
    private record Ranges(int[] start, int[] end, int entries) {

        int rows() {
            return start.length;
        }
    }

    /** Results of one way to calculate. */
    private record Results(double[] out, double[] logSumExp, double[] dqueries, double[] dkeys, double[] dvalues) {}

    @BeforeEach
    void open() {
        backend = Gpu.open(CudaMode.FAST, CudaPrecision.BF16);
    }

    @AfterEach
    void close() {
        backend.close();
    }

    @Test
    void resultsAndGradientsAreThoseOfTheGeneralKernel() {
        for (AttentionShape shape : SHAPES) {
            compare("causal", shape, causal(List.of(37, 301, 1, 130, 64), 1, 0), 0);
            compare("chosen rows", shape, causal(List.of(190, 257), 3, 0), 0);
            compare("window, counted", shape, causal(List.of(401, 97), 1, 75), 61);
        }
    }

    @Test
    void rowsThatSeeNothingGetZerosAndGiveNone() {
        Ranges ranges = causal(List.of(150, 90), 2, 0);
        for (int row = 0; row < ranges.rows(); row += 3) {
            ranges.end[row] = ranges.start[row];
        }
        compare("empty ranges", SHAPES.getFirst(), ranges, 0);
    }

    @Test
    void gradientsInOnePassAreThoseOfTheGeneralKernel() {
        atLeast = ONE_PASS;
        for (AttentionShape shape : SHAPES.subList(0, 3)) {
            compare("one key", shape, causal(List.of(1), 1, 0), 0);
            compare("causal", shape, causal(List.of(37, 301, 1, 130, 64, 192), 1, 0), 0);
            compare("chosen rows", shape, causal(List.of(190, 257), 3, 0), 0);
            compare("window", shape, causal(List.of(401, 97), 1, 75), 0);
        }
        compare("longer than a list's item many times", SHAPES.getFirst(), causal(List.of(1100, 700, 6), 1, 0), 0);
    }

    @Test
    void rowsThatSeeNothingGetZerosInOnePassToo() {
        atLeast = ONE_PASS;
        Ranges some = causal(List.of(150, 390), 1, 0);
        for (int row = 0; row < some.rows(); row++) {
            if (row % 3 == 0 || (row > 200 && row < 400)) {
                some.end[row] = some.start[row];
            }
        }
        compare("empty ranges", SHAPES.getFirst(), some, 0);
        Ranges none = causal(List.of(90), 1, 0);
        compare("no row sees anything", SHAPES.getFirst(), new Ranges(none.start, none.start.clone(), 90), 0);
    }

    @Test
    void packedGradientsInOnePassAreThoseOfTheRowsBeforeTheirRotation() {
        atLeast = ONE_PASS;
        packedGradientsAreThoseOfTheRowsBeforeTheirRotation();
    }

    @Test
    void rangesThatWereWrittenAnewAreSeenInOnePass() {
        atLeast = ONE_PASS;
        rangesThatWereWrittenAnewAreSeen();
    }

    @Test
    void keysAreFoundThroughATable() {
        for (AttentionShape shape : SHAPES) {
            throughTable("decoding", shape, decoding(List.of(700, 0, 1, 256, 257)));
            throughTable("a prompt", shape, causal(List.of(301, 77), 1, 0));
        }
    }

    @Test
    void rangesThatWereWrittenAnewAreSeen() {
        Ranges all = causal(List.of(180, 120), 1, 0);
        Ranges near = causal(List.of(180, 120), 1, 40);
        IntTensor sequence = ints(IntStream.range(0, 300).map(row -> row / 180).toArray(), 0);
        IntTensor position = ints(
                IntStream.range(0, 300).map(row -> row < 180 ? row : row - 180).toArray(), 0);
        IntTensor offsets = ints(new int[] {0, 180, 300}, 0);
        for (AttentionShape shape : List.of(SHAPES.getFirst(), SHAPES.getLast())) {
            AttentionRanges seen = ranges(all, 0);
            assertSame(shape, all, seen);
            backend.write(seen.start(), near.start);
            assertSame(shape, near, seen);
            backend.causalRanges(
                    seen.start(), seen.end(), sequence, position, Extent.exact(300), offsets, position, 100);
            assertSame(shape, causal(List.of(180, 120), 1, 100), seen);
            backend.fill(seen.start(), 0);
            backend.fill(seen.end(), 300);
            int[] last = new int[300];
            Arrays.fill(last, 300);
            assertSame(shape, new Ranges(new int[300], last, 300), seen);
            backend.gatherInts(seen.end(), seen.end(), sequence, Extent.exact(300)); // of equal values
            backend.gatherInts(seen.start(), offsets, sequence, Extent.exact(300));
            assertSame(
                    shape,
                    new Ranges(
                            IntStream.range(0, 300).map(row -> row / 180 * 180).toArray(), last, 300),
                    seen);
        }
    }

    /** The ranges on the device give the bits that ranges never used before give. */
    private void assertSame(AttentionShape shape, Ranges expected, AttentionRanges seen) {
        Results fresh = attention(shape, expected, Precision.BFLOAT16, 0, false);
        for (int time = 0; time < 2; time++) {
            Results used = attention(shape, expected, seen, Precision.BFLOAT16, 0, false);
            assertArrayEquals(fresh.out, used.out);
            assertArrayEquals(fresh.logSumExp, used.logSumExp);
            assertArrayEquals(fresh.dqueries, used.dqueries);
            assertArrayEquals(fresh.dkeys, used.dkeys);
            assertArrayEquals(fresh.dvalues, used.dvalues);
        }
    }

    @Test
    void packedGradientsAreThoseOfTheRowsBeforeTheirRotation() {
        assumeTrue(backend.context().device.major == 9, "skipped, only the kernels for Hopper write packed gradients");
        for (AttentionShape shape : SHAPES.subList(0, 3)) {
            packed("causal", shape, causal(List.of(37, 301, 1, 130, 64), 1, 0));
            packed("window", shape, causal(List.of(401, 97), 1, 75));
        }
    }

    @Test
    void packedGradientsAreRefusedWhereTheyCannotBeWritten() {
        Ranges all = causal(List.of(40), 1, 0);
        AttentionShape narrow = SHAPES.get(3);
        AttentionShape shape = SHAPES.getFirst();
        assertFalse(new Packed(narrow, all, all.entries, Optional.empty()).calculate(), "heads of 32");
        assertFalse(
                new Packed(shape, causal(List.of(40), 2, 0), all.entries, Optional.empty()).calculate(), "fewer rows");
        IntTensor table = ints(IntStream.range(0, all.entries).toArray(), 0);
        assertFalse(new Packed(shape, all, all.entries, Optional.of(table)).calculate(), "a table");
    }

    /** Operands of one call, and a buffer of rows with eight columns to spare. */
    private final class Packed {
        private static final double THETA = 10000;
        private static final int SPARE = 8;
        private final AttentionShape shape;
        private final Tensor queries;
        private final Tensor keys;
        private final Tensor values;
        private final Tensor dout;
        private final AttentionRanges seen;
        private final int[] positions;
        private final Tensor result;

        Packed(AttentionShape shape, Ranges ranges, int entries, Optional<IntTensor> table) {
            this.shape = shape;
            SplittableRandom random = new SplittableRandom(SEED); // as attention() draws them
            this.queries = counted(random, ranges.rows(), 0, shape.queryWidth(), Precision.BFLOAT16);
            this.keys = counted(random, entries, 0, shape.kvWidth(), Precision.BFLOAT16);
            this.values = counted(random, entries, 0, shape.kvWidth(), Precision.BFLOAT16);
            this.dout = counted(random, ranges.rows(), 0, shape.queryWidth(), Precision.BFLOAT16);
            this.seen =
                    new AttentionRanges(ints(ranges.start, 0), ints(ranges.end, 0), table, Math.max(entries, atLeast));
            this.positions = IntStream.range(0, ranges.rows())
                    .map(row -> row * 7919 % 131071)
                    .toArray();
            this.result = backend.allocate(
                    ranges.rows(), shape.queryWidth() + 2 * shape.kvWidth() + SPARE, Precision.BFLOAT16);
        }

        boolean calculate() {
            CudaContext context = backend.context();
            backend.fill(result, 7);
            Tensor out = like(queries, shape.queryWidth(), Precision.BFLOAT16);
            Tensor logSumExp = like(queries, shape.heads(), Precision.FLOAT32);
            backend.attention(out, logSumExp, queries, keys, values, seen, shape);
            double[] frequencies = IntStream.range(0, shape.headDim() / 2)
                    .mapToDouble(i -> StrictMath.pow(THETA, -2.0 * i / shape.headDim()))
                    .toArray();
            long table = context.memory
                    .allocate(8L * frequencies.length, "frequencies")
                    .address();
            context.transfers.writeWide(table, frequencies);
            return new AttentionKernels(context)
                    .backwardPacked(
                            context.of(result).address,
                            result.columns(),
                            queries,
                            keys,
                            values,
                            out,
                            logSumExp,
                            dout,
                            (statistics, products, paddedRows) -> false,
                            seen,
                            shape,
                            ints(positions, 0),
                            table,
                            0);
        }

        /** Columns of the buffer. */
        double[] columns(int first, int count) {
            double[] all = backend.readDoubles(result);
            return IntStream.range(0, result.rows() * count)
                    .mapToDouble(i -> all[i / count * result.columns() + first + i % count])
                    .toArray();
        }

        /** What is expected of gradients in single precision, rotated back. */
        double[] turnedBack(double[] gradients, int columns) {
            Tensor tensor = backend.allocate(positions.length, columns);
            backend.write(tensor, gradients);
            backend.rope(tensor, tensor, ints(positions, 0), shape.headDim(), THETA, true);
            return backend.readDoubles(tensor);
        }
    }

    private void packed(String name, AttentionShape shape, Ranges ranges) {
        String what = name + ", packed, " + shape;
        Results general = attention(shape, ranges, Precision.FLOAT32, 0, true);
        Packed packed = new Packed(shape, ranges, ranges.entries, Optional.empty());
        assertTrue(packed.calculate(), what);
        int keyColumn = shape.queryWidth();
        int valueColumn = keyColumn + shape.kvWidth();
        int end = valueColumn + shape.kvWidth();
        assertClose(
                what + ": dqueries",
                packed.turnedBack(general.dqueries, shape.queryWidth()),
                packed.columns(0, shape.queryWidth()),
                MOST_GRADIENT);
        assertClose(
                what + ": dkeys",
                packed.turnedBack(minusOne(general.dkeys), shape.kvWidth()),
                packed.columns(keyColumn, shape.kvWidth()),
                MOST_GRADIENT);
        assertClose(
                what + ": dvalues",
                minusOne(general.dvalues),
                packed.columns(valueColumn, shape.kvWidth()),
                MOST_GRADIENT);
        for (double untouched : packed.columns(end, Packed.SPARE)) {
            assertEquals(7, untouched, what + ": columns behind");
        }
    }

    /** Sequences of keys, of which every so-manieth is a query too; a window of 0 is none. */
    private static Ranges causal(List<Integer> lengths, int every, int window) {
        List<int[]> ranges = new ArrayList<>();
        int offset = 0;
        for (int length : lengths) {
            for (int position = 0; position < length; position += every) {
                int end = offset + position + 1;
                ranges.add(new int[] {window == 0 ? offset : Math.max(offset, end - window), end});
            }
            offset += length;
        }
        return new Ranges(
                ranges.stream().mapToInt(range -> range[0]).toArray(),
                ranges.stream().mapToInt(range -> range[1]).toArray(),
                offset);
    }

    /** One row for each sequence. */
    private static Ranges decoding(List<Integer> lengths) {
        int[] start = new int[lengths.size()];
        int[] end = new int[lengths.size()];
        int offset = 0;
        for (int i = 0; i < lengths.size(); i++) {
            start[i] = offset;
            end[i] = offset + lengths.get(i);
            offset = end[i];
        }
        return new Ranges(start, end, offset);
    }

    private void compare(String name, AttentionShape shape, Ranges ranges, int spare) {
        String what = name + ", " + shape;
        Results general = attention(shape, ranges, Precision.FLOAT32, spare, true);
        Results flash = attention(shape, ranges, Precision.BFLOAT16, spare, true);
        Results again = attention(shape, ranges, Precision.BFLOAT16, spare, true);
        Results set = attention(shape, ranges, Precision.BFLOAT16, spare, false);
        assertClose(what + ": out", general.out, flash.out, MOST_OUT);
        assertStatistics(what, general.logSumExp, flash.logSumExp);
        assertClose(what + ": dqueries", general.dqueries, flash.dqueries, MOST_GRADIENT);
        assertClose(what + ": dkeys", general.dkeys, flash.dkeys, MOST_GRADIENT);
        assertClose(what + ": dvalues", general.dvalues, flash.dvalues, MOST_GRADIENT);
        assertClose(what + ": dkeys, set", minusOne(general.dkeys), set.dkeys, MOST_GRADIENT);
        assertClose(what + ": dvalues, set", minusOne(general.dvalues), set.dvalues, MOST_GRADIENT);
        assertArrayEquals(flash.out, again.out, what + ": the same bits each time");
        assertArrayEquals(flash.dqueries, again.dqueries, what + ": the same bits each time");
        assertArrayEquals(flash.dkeys, again.dkeys, what + ": the same bits each time");
        assertArrayEquals(flash.dvalues, again.dvalues, what + ": the same bits each time");
    }

    private static double[] minusOne(double[] values) {
        return Arrays.stream(values).map(value -> value - 1).toArray();
    }

    /** Both passes; gradients of keys and values are written over ones, or added to them. */
    private Results attention(AttentionShape shape, Ranges ranges, Precision stored, int spare, boolean accumulate) {
        return attention(shape, ranges, ranges(ranges, spare), stored, spare, accumulate);
    }

    private AttentionRanges ranges(Ranges ranges, int spare) {
        return new AttentionRanges(
                ints(ranges.start, spare),
                ints(ranges.end, spare),
                Optional.empty(),
                Math.max(ranges.entries, atLeast));
    }

    private Results attention(
            AttentionShape shape,
            Ranges ranges,
            AttentionRanges seen,
            Precision stored,
            int spare,
            boolean accumulate) {
        SplittableRandom random = new SplittableRandom(SEED);
        int rows = ranges.rows();
        int entries = ranges.entries;
        Tensor queries = counted(random, rows, spare, shape.queryWidth(), stored);
        Tensor keys = counted(random, entries, spare, shape.kvWidth(), stored);
        Tensor values = counted(random, entries, spare, shape.kvWidth(), stored);
        Tensor dout = counted(random, rows, spare, shape.queryWidth(), stored);
        Tensor out = like(queries, shape.queryWidth(), stored);
        Tensor logSumExp = like(queries, shape.heads(), Precision.FLOAT32);
        Tensor dqueries = like(queries, shape.queryWidth(), stored);
        Tensor dkeys = like(keys, shape.kvWidth(), stored);
        Tensor dvalues = like(keys, shape.kvWidth(), stored);
        backend.fill(out, Double.NaN);
        backend.fill(dqueries, Double.NaN);
        backend.fill(dkeys, 1);
        backend.fill(dvalues, 1);
        backend.attention(out, logSumExp, queries, keys, values, seen, shape);
        backend.attentionBackward(
                dqueries, dkeys, dvalues, queries, keys, values, out, logSumExp, dout, seen, shape, accumulate);
        return new Results(
                first(out, rows),
                first(logSumExp, rows),
                first(dqueries, rows),
                first(dkeys, entries),
                first(dvalues, entries));
    }

    private void throughTable(String name, AttentionShape shape, Ranges ranges) {
        String what = name + ", " + shape;
        int[] table = new int[ranges.entries];
        for (int entry = 0; entry < table.length; entry++) {
            table[entry] = (int) ((entry * 7919L + 5) % table.length); // 7919 is prime and no divisor of the lengths
        }
        double[][] out = new double[2][];
        double[][] logSumExp = new double[2][];
        for (Precision stored : List.of(Precision.FLOAT32, Precision.BFLOAT16)) {
            SplittableRandom random = new SplittableRandom(SEED);
            Tensor queries = counted(random, ranges.rows(), 0, shape.queryWidth(), stored);
            Tensor keys = counted(random, ranges.entries, 0, shape.kvWidth(), stored);
            Tensor values = counted(random, ranges.entries, 0, shape.kvWidth(), stored);
            Tensor result = like(queries, shape.queryWidth(), stored);
            Tensor statistics = like(queries, shape.heads(), Precision.FLOAT32);
            backend.fill(result, Double.NaN);
            AttentionRanges seen = new AttentionRanges(
                    ints(ranges.start, 0), ints(ranges.end, 0), Optional.of(ints(table, 0)), ranges.entries);
            backend.attention(result, statistics, queries, keys, values, seen, shape);
            int way = stored == Precision.FLOAT32 ? 0 : 1;
            out[way] = backend.readDoubles(result);
            logSumExp[way] = backend.readDoubles(statistics);
        }
        assertClose(what + ": out", out[0], out[1], MOST_OUT);
        assertStatistics(what, logSumExp[0], logSumExp[1]);
    }

    /** Values that bfloat16 has; with spare rows behind a count kept on the device, which hold NaN. */
    private Tensor counted(SplittableRandom random, int rows, int spare, int columns, Precision stored) {
        double[] values = new double[(rows + spare) * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = i < rows * columns ? random.nextInt(-128, 129) / 64.0 : Double.NaN;
        }
        Tensor tensor = backend.allocate(rows + spare, columns, stored);
        backend.write(tensor, values);
        if (spare == 0) {
            return tensor;
        }
        IntTensor count = backend.allocateInts(1);
        backend.write(count, new int[] {rows});
        return backend.view(tensor, 0, Extent.counted(rows + spare, count), columns);
    }

    private Tensor like(Tensor tensor, int columns, Precision stored) {
        return backend.view(backend.allocate(tensor.rows(), columns, stored), 0, tensor.extent(), columns);
    }

    private IntTensor ints(int[] values, int spare) {
        int[] padded = new int[values.length + spare];
        System.arraycopy(values, 0, padded, 0, values.length);
        IntTensor ints = backend.allocateInts(padded.length);
        backend.write(ints, padded);
        return ints;
    }

    private double[] first(Tensor tensor, int rows) {
        return backend.readDoubles(backend.view(tensor, 0, Extent.exact(rows), tensor.columns()));
    }

    private static void assertStatistics(String what, double[] expected, double[] actual) {
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], actual[i], MOST_STATISTIC, what + ": log-sum-exp " + i);
        }
    }

    private static void assertClose(String what, double[] expected, double[] actual, double most) {
        double difference = 0;
        double size = 0;
        for (int i = 0; i < expected.length; i++) {
            difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
            size += expected[i] * expected[i];
        }
        double relative = difference == 0 ? 0 : Math.sqrt(difference / size);
        assertTrue(relative <= most, what + ": relative difference " + relative + " (seed " + SEED + ")");
    }
}
