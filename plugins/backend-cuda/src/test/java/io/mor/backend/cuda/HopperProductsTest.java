package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The products with fused last steps, by address, beside a reference in double. Needs a GPU of compute capability 9.0. */
@RequiresGpu
class HopperProductsTest {

    private static final long SEED = 29;
    private static final double MOST = 4e-3; // of the norm; bfloat16 rounds by up to 3.9e-3 and by 1.7e-3 on average
    private static final int GUARD = 256; // elements behind each result
    private static final int RESIDUAL_COLUMNS = 192; // of a part of a row's squares
    private static final float UNTOUCHED = -12352.0f; // of no result's size

    private CudaBackend backend;
    private CudaContext context;
    private HopperProducts products;
    private SplittableRandom random;

    @BeforeEach
    void open() {
        backend = Gpu.open(CudaMode.FAST, CudaPrecision.BF16);
        context = backend.context();
        products = new HopperProducts(context);
        random = new SplittableRandom(SEED);
    }

    @AfterEach
    void close() {
        backend.close();
    }

    @Test
    void headsAreProductsRotatedAndDealt() {
        assumeHopper();
        headsAre(1, 64, new int[] {1}, new boolean[] {true});
        headsAre(127, 72, new int[] {2, 1, 1}, new boolean[] {true, false, true});
        headsAre(300, 200, new int[] {5, 3, 1}, new boolean[] {true, true, false});
        headsAre(1031, 576, new int[] {9, 3, 3}, new boolean[] {true, true, false});
    }

    @Test
    void aGatedUnitIsWhatItsPartsAre() {
        assumeHopper();
        for (int[] sizes : new int[][] {{1, 64, 64}, {127, 72, 192}, {300, 200, 320}, {1031, 576, 256}}) {
            gatedIs(sizes[0], sizes[1], sizes[2]);
        }
    }

    @Test
    void manyRowsAreMadeByPairsOfBlocks() {
        assumeHopper();
        int rows = HopperProducts.LEAST_ROWS_IN_PAIRS;
        headsAre(rows, 64, new int[] {1}, new boolean[] {true});
        headsAre(rows + 16, 72, new int[] {2, 1, 1}, new boolean[] {true, false, true});
        headsAre(rows + 131, 72, new int[] {5, 1, 1}, new boolean[] {true, true, false});
        for (int[] sizes : new int[][] {{rows, 64, 64}, {rows + 16, 72, 192}, {rows + 131, 200, 64}}) {
            gatedIs(sizes[0], sizes[1], sizes[2]);
        }
    }

    @Test
    void aGatedUnitsGradientIsWhatItsPartsAre() {
        assumeHopper();
        for (int[] sizes : new int[][] {{1, 64, 64}, {127, 72, 192}, {300, 200, 320}, {1031, 576, 256}}) {
            gradientIs(sizes[0], sizes[1], sizes[2]);
        }
    }

    @Test
    void whatArrivesAtAnAttentionsResultIsAProductWithTheStatisticsOfItsGradient() {
        assumeHopper();
        for (int[] sizes :
                new int[][] {{1, 64, 1}, {127, 72, 2}, {128, 64, 3}, {300, 200, 4}, {1031, 128, 9}, {4099, 64, 15}}) {
            outputGradientIs(sizes[0], sizes[1], sizes[2]);
        }
    }

    private void outputGradientIs(int rows, int width, int heads) {
        int size = rows * 64 * heads;
        int padded = Math.ceilDiv(rows, 128) * 128;
        float[] dy = normal(rows * width, 1);
        float[] weights = normal(width * 64 * heads, 1 / Math.sqrt(width));
        float[] out = normal(size, 1);
        float[] logSumExp = new float[rows * heads];
        for (int i = 0; i < logSumExp.length; i++) {
            logSumExp[i] = i % 7 == 3 ? Float.NEGATIVE_INFINITY : (float) (5 * random.nextGaussian());
        }
        long[] in = {narrow(dy), narrow(weights), narrow(out), full(logSumExp)};
        double[] wanted = product(dy, weights, rows, width, 64 * heads, true);
        float[][][] results = new float[2][3][padded * heads];
        for (float[][] result : results) {
            long dout = untouched(size);
            long statistics = full(new float[padded * heads]);
            long dotProducts = full(new float[padded * heads]);
            assertTrue(products.outputGradient(
                    dout, statistics, dotProducts, padded, in[2], in[3], heads, in[0], rows, width, in[1]));
            result[0] = read(dout, size);
            context.transfers.read(statistics, false, result[1]);
            context.transfers.read(dotProducts, false, result[2]);
        }
        String what = rows + " rows, " + width + " to " + heads + " heads";
        assertClose("gradient of " + what, wanted, results[0][0]);
        for (int head = 0; head < heads; head++) {
            for (int row = 0; row < padded; row++) {
                double sum = 0;
                double terms = 0;
                double statistic = Double.POSITIVE_INFINITY;
                if (row < rows) {
                    for (int i = (row * heads + head) * 64; i < (row * heads + head) * 64 + 64; i++) {
                        sum += (double) results[0][0][i] * out[i]; // of what is kept
                        terms += Math.abs((double) results[0][0][i] * out[i]);
                    }
                    double value = logSumExp[row * heads + head];
                    statistic = value == Double.NEGATIVE_INFINITY ? Double.POSITIVE_INFINITY : value / Math.log(2);
                }
                String where = what + ", head " + head + ", row " + row;
                float got = results[0][1][head * padded + row];
                assertTrue(
                        statistic == got || Math.abs(statistic - got) <= 1e-6 * Math.abs(statistic),
                        "statistic of " + where + ": " + got + " instead of " + statistic);
                assertEquals(sum, results[0][2][head * padded + row], 1e-5 * terms, "product of " + where);
            }
        }
        for (int i = 0; i < 3; i++) {
            assertArrayEquals(results[0][i], results[1][i], what + ": the same bits each time");
        }
    }

    @Test
    void whatArrivesBeforeANormIsTheGradientOfTheProductAndOfTheNorm() {
        assumeHopper();
        for (int[] sizes :
                new int[][] {{1, 64, 576}, {127, 72, 960}, {300, 200, 576}, {1031, 128, 960}, {5000, 64, 576}}) {
            for (boolean accumulate : new boolean[] {false, true}) {
                normGradientIs(sizes[0], sizes[1], sizes[2], accumulate);
            }
        }
    }

    private void normGradientIs(int rows, int inner, int width, boolean accumulate) {
        int size = rows * width;
        float[] packed = normal(rows * inner, 1);
        float[] weights = normal(inner * width, 1 / Math.sqrt(inner));
        float[] x = normal(size, 2);
        float[] before = normal(size, 1);
        float[] rstd = new float[rows];
        for (int row = 0; row < rows; row++) {
            double squares = 0;
            for (int i = row * width; i < (row + 1) * width; i++) {
                squares += x[i] * x[i];
            }
            rstd[row] = (float) (1 / Math.sqrt(squares / width + 1e-5));
        }
        float[] scale = normal(width, 1);
        double[] arrived = product(packed, weights, rows, inner, width, true);
        double[] dx = new double[size];
        double[] normed = new double[size];
        double[] dscale = new double[width];
        int parts = 3;
        float[] dots = new float[parts * rows];
        for (int row = 0; row < rows; row++) {
            double dot = 0;
            for (int c = 0; c < width; c++) {
                int i = row * width + c;
                dot += arrived[i] * scale[c] * x[i];
                dscale[c] += arrived[i] * x[i] * rstd[row];
                normed[i] = x[i] * rstd[row] * scale[c];
            }
            for (int part = 0; part < parts; part++) {
                dots[part * rows + row] = (float) (dot * rstd[row] * (part == 0 ? 2 : -0.5));
            }
            double common = dot * Math.pow(rstd[row], 3) / width;
            for (int c = 0; c < width; c++) {
                int i = row * width + c;
                dx[i] = arrived[i] * scale[c] * rstd[row] - x[i] * common + (accumulate ? before[i] : 0);
            }
        }
        HopperNormGradient gradient = new HopperNormGradient(context);
        long[] in = {narrow(packed), narrow(weights), narrow(x), full(rstd), full(scale), full(dots)};
        float[][][] results = new float[3][3][];
        for (int run = 0; run < results.length; run++) {
            boolean again = run < 2; // in the last run nobody wants the normed rows
            float[] guarded = Arrays.copyOf(before, size + GUARD);
            Arrays.fill(guarded, size, guarded.length, UNTOUCHED);
            long dxAt = narrow(guarded);
            long normedAt = untouched(size);
            long dscaleAt = full(new float[width]);
            assertTrue(gradient.launch(
                    dxAt,
                    dscaleAt,
                    again ? normedAt : 0,
                    in[2],
                    in[3],
                    in[4],
                    in[0],
                    rows,
                    inner,
                    width,
                    in[1],
                    in[5],
                    parts,
                    accumulate));
            results[run][0] = read(dxAt, size);
            results[run][1] = read(normedAt, size);
            results[run][2] = new float[width];
            context.transfers.read(dscaleAt, false, results[run][2]);
        }
        String what = rows + " rows, " + inner + " to " + width + (accumulate ? ", added" : "");
        assertClose("slope of " + what, dx, results[0][0]);
        assertClose("normed rows of " + what, normed, results[0][1]);
        assertClose("weight's gradient of " + what, dscale, results[0][2]);
        for (int i = 0; i < 3; i++) {
            assertArrayEquals(results[0][i], results[1][i], what + ": the same bits each time");
        }
        assertArrayEquals(results[0][0], results[2][0], what + ": the same slope without normed rows");
        assertArrayEquals(results[0][2], results[2][2], what + ": the same gradient without normed rows");
    }

    /** Values in single precision on the device. */
    private long full(float[] values) {
        long address = context.memory.allocate(4L * values.length, "a test").address();
        context.transfers.write(address, false, values);
        return address;
    }

    @Test
    void aResidualIsWhatWasThereAndAProductAndBringsItsSquares() {
        assumeHopper();
        for (int[] sizes : new int[][] {
            {1, 8, 64},
            {61, 136, 200},
            {127, 72, 128},
            {129, 200, 192},
            {300, 64, 320},
            {1031, 576, 576},
            {4099, 64, 960}
        }) {
            residualIs(sizes[0], sizes[1], sizes[2]);
        }
        residualIs(18001, 72, 192); // more tiles than multiprocessors, of one stage's depth and a part
    }

    private void residualIs(int rows, int inner, int columns) {
        int size = rows * columns;
        int parts = HopperProducts.squaresParts(columns);
        float[] a = normal(rows * inner, 1);
        float[] weights = normal(columns * inner, 1 / Math.sqrt(inner));
        float[] base = normal(size, 1);
        long[] in = {narrow(base), narrow(a), narrow(weights)};
        float[][] results = new float[3][];
        float[][] squares = new float[2][];
        for (int run = 0; run < results.length; run++) {
            boolean inPlace = run == 2; // and without squares
            float[] before = Arrays.copyOf(base, size + GUARD);
            Arrays.fill(before, size, before.length, UNTOUCHED);
            long out = inPlace ? narrow(before) : untouched(size);
            float[] guarded = new float[parts * rows + GUARD];
            Arrays.fill(guarded, UNTOUCHED);
            long squaresAt = inPlace ? 0 : full(guarded);
            assertTrue(products.residual(out, squaresAt, inPlace ? out : in[0], in[1], rows, inner, in[2], columns));
            results[run] = read(out, size);
            if (!inPlace) {
                context.transfers.read(squaresAt, false, guarded);
                for (int i = parts * rows; i < guarded.length; i++) {
                    assertEquals(UNTOUCHED, guarded[i], "a sum behind the end");
                }
                squares[run] = Arrays.copyOf(guarded, parts * rows);
            }
        }
        double[] wanted = product(a, weights, rows, inner, columns, false);
        double[] sums = new double[parts * rows];
        for (int i = 0; i < size; i++) {
            wanted[i] += base[i];
            sums[i % columns / RESIDUAL_COLUMNS * rows + i / columns] +=
                    (double) results[0][i] * results[0][i]; // of what was kept
        }
        String what = rows + " rows, " + inner + " to " + columns;
        assertClose("sum of " + what, wanted, results[0]);
        assertArrayEquals(results[0], results[1], what + ": the same bits each time");
        assertArrayEquals(results[0], results[2], what + ": the same bits in place of what was there");
        assertArrayEquals(squares[0], squares[1], what + ": the same bits of squares each time");
        for (int i = 0; i < sums.length; i++) {
            assertEquals(sums[i], squares[0][i], 1e-6 * (sums[i] + 1), what + ": sum of squares " + i);
        }
    }

    @Test
    void aWeightsGradientIsASumOverRows() {
        assumeHopper();
        for (int[] sizes : new int[][] { // rows, m, n, pitch, first column
            {1, 8, 8, 8, 0},
            {40, 192, 200, 192, 0},
            {129, 72, 136, 96, 16},
            {517, 960, 72, 1600, 640},
            {1031, 1600, 960, 1600, 0}
        }) {
            for (boolean accumulate : new boolean[] {false, true}) {
                weightGradientIs(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], accumulate);
            }
        }
    }

    private void weightGradientIs(int rows, int m, int n, int pitch, int first, boolean accumulate) {
        int size = m * n;
        float[] wide = normal(rows * pitch, 1);
        float[] across = new float[m * rows];
        for (int i = 0; i < across.length; i++) {
            across[i] = wide[i % rows * pitch + first + i / rows];
        }
        float[] b = normal(rows * n, 1);
        float[] before = Arrays.copyOf(normal(size, 1), size + GUARD);
        Arrays.fill(before, size, before.length, UNTOUCHED);
        double[] wanted = product(across, b, m, rows, n, true);
        for (int i = 0; accumulate && i < size; i++) {
            wanted[i] += before[i];
        }
        long[] in = {narrow(wide), narrow(b)};
        float[][] results = new float[3][size + GUARD];
        for (float[] result : results) {
            long out = full(before);
            assertTrue(products.weightGradient(out, accumulate, in[0] + 2L * first, pitch, m, in[1], n, rows));
            context.transfers.read(out, false, result);
        }
        String what = rows + " rows, [" + m + " of " + pitch + ", " + n + "]" + (accumulate ? ", added" : "");
        assertClose("weights' gradient of " + what, wanted, Arrays.copyOf(results[0], size));
        for (int i = size; i < size + GUARD; i++) {
            assertEquals(UNTOUCHED, results[0][i], what + ": an element behind the end");
        }
        assertArrayEquals(results[0], results[1], what + ": the same bits each time");
        assertArrayEquals(results[0], results[2], what + ": the same bits each time");
    }

    @Test
    void whatTheKernelsAreNotMadeForIsRefused() {
        long place = context.memory.allocate(1 << 20, "a test").address();
        assertFalse(products.gatedLinears(place, place, place, place, 0, 64, 64, place, 0), "no rows");
        assertFalse(
                products.gatedLinears(place, place, place, place, 8, 60, 64, place, 0),
                "rows that are no multiple of 16 bytes");
        assertFalse(
                products.gatedLinears(place, place, place, place, 8, 64, 96, place, 0),
                "a width that is no multiple of 64");
        assertFalse(products.gatedLinears(place, place, place, place + 8, 8, 64, 64, place, 0), "an odd address");
        assertFalse(
                products.gatedBackward(place, place, place, place, place, 8, 64, 96, place, 0),
                "a width that is no multiple of 64");
        assertFalse(
                products.outputGradient(place, place, place, 64, place, place, 1, place, 8, 64, place),
                "rows that are not padded to whole tiles");
        assertFalse(
                products.outputGradient(place, place, place, 128, place, place, 1, place, 8, 60, place),
                "gradients that are no multiple of 16 bytes");
        assertFalse(products.residual(place, 0, place, place, 0, 64, place, 64), "no rows");
        assertFalse(
                products.residual(place, 0, place, place, 8, 60, place, 64), "rows that are no multiple of 16 bytes");
        assertFalse(
                products.residual(place, 0, place, place, 8, 64, place, 60), "a width that is no multiple of 16 bytes");
        assertFalse(products.residual(place, 0, place + 8, place, 8, 64, place, 64), "an odd address");
        assertFalse(products.weightGradient(place, false, place, 64, 64, place, 64, 0), "no rows");
        assertFalse(products.weightGradient(place, false, place, 56, 64, place, 64, 8), "a pitch that is too small");
        assertFalse(products.weightGradient(place, false, place, 64, 64, place, 60, 8), "rows that are too odd");
        assertFalse(products.weightGradient(place, false, place, 1 << 16, 1 << 16, place, 64, 8), "too many tiles");
        assertFalse(
                new HopperNormGradient(context)
                        .launch(place, place, place, place, place, place, place, 8, 64, 320, place, place, 1, false),
                "a width without a kernel");
        assertFalse(
                products.linears(new long[0], new int[0], new boolean[0], place, 8, 64, place, place, place, 0),
                "no tensors");
    }

    private void headsAre(int rows, int inner, int[] heads, boolean[] rotated) {
        headsAre(rows, inner, heads, rotated, Optional.empty());
        headsAre(rows, inner, heads, rotated, Optional.of(factors(rows)));
    }

    private float[] factors(int rows) {
        float[] factors = new float[rows];
        for (int row = 0; row < rows; row++) {
            factors[row] = 0.1f + 2 * random.nextFloat();
        }
        return factors;
    }

    /** Each row times its factor. */
    private static void multiplyRows(double[] matrix, float[] factors) {
        int columns = matrix.length / factors.length;
        for (int i = 0; i < matrix.length; i++) {
            matrix[i] *= factors[i / columns];
        }
    }

    private void headsAre(int rows, int inner, int[] heads, boolean[] rotated, Optional<float[]> factors) {
        int all = Arrays.stream(heads).sum();
        float[] x = normal(rows * inner, 1);
        float[] weights = normal(64 * all * inner, 1 / Math.sqrt(inner));
        int[] positions =
                IntStream.range(0, rows).map(row -> random.nextInt(4096)).toArray();
        double[] frequencies = IntStream.range(0, 32)
                .mapToDouble(pair -> StrictMath.pow(10000, -pair / 32.0))
                .toArray();
        long positionsAt = context.memory.allocate(4L * rows, "a test").address();
        context.transfers.write(positionsAt, positions);
        long frequenciesAt = context.memory.allocate(8L * 32, "a test").address();
        context.transfers.writeWide(frequenciesAt, frequencies);
        long xAt = narrow(x);
        long weightsAt = narrow(weights);
        long factorsAt = factors.map(this::full).orElse(0L);
        double[] product = product(x, weights, rows, inner, 64 * all, false);
        factors.ifPresent(each -> multiplyRows(product, each));
        float[][][] results = new float[2][heads.length][];
        for (float[][] result : results) {
            long[] outs = IntStream.range(0, heads.length)
                    .mapToLong(i -> untouched(rows * 64 * heads[i]))
                    .toArray();
            assertTrue(products.linears(
                    outs, heads, rotated, xAt, rows, inner, weightsAt, positionsAt, frequenciesAt, factorsAt));
            for (int i = 0; i < heads.length; i++) {
                result[i] = read(outs[i], rows * 64 * heads[i]);
            }
        }
        int before = 0;
        for (int i = 0; i < heads.length; i++) {
            double[] wanted = new double[rows * 64 * heads[i]];
            for (int row = 0; row < rows; row++) {
                for (int head = 0; head < heads[i]; head++) {
                    for (int pair = 0; pair < 32; pair++) {
                        double angle = rotated[i] ? positions[row] * frequencies[pair] : 0;
                        double a = product[row * 64 * all + 64 * (before + head) + pair];
                        double b = product[row * 64 * all + 64 * (before + head) + pair + 32];
                        int at = (row * heads[i] + head) * 64 + pair;
                        wanted[at] = a * Math.cos(angle) - b * Math.sin(angle);
                        wanted[at + 32] = b * Math.cos(angle) + a * Math.sin(angle);
                    }
                }
            }
            String what = rows + " rows of " + inner + ", tensor " + i + " of heads " + Arrays.toString(heads);
            assertClose(what, wanted, results[0][i]);
            assertArrayEquals(results[0][i], results[1][i], what + ": the same bits each time");
            before += heads[i];
        }
    }

    private void gatedIs(int rows, int width, int feedForward) {
        gatedIs(rows, width, feedForward, Optional.empty());
        gatedIs(rows, width, feedForward, Optional.of(factors(rows)));
    }

    private void gatedIs(int rows, int width, int feedForward, Optional<float[]> factors) {
        float[] x = normal(rows * width, 1);
        float[] weights = normal(2 * feedForward * width, 1.5 / Math.sqrt(width));
        long xAt = narrow(x);
        long weightsAt = narrow(weights);
        long factorsAt = factors.map(this::full).orElse(0L);
        double[] product = product(x, weights, rows, width, 2 * feedForward, false);
        factors.ifPresent(each -> multiplyRows(product, each));
        int size = rows * feedForward;
        float[][][] results = new float[2][3][];
        for (float[][] result : results) {
            long[] outs = {untouched(size), untouched(size), untouched(size)};
            assertTrue(products.gatedLinears(
                    outs[0], outs[1], outs[2], xAt, rows, width, feedForward, weightsAt, factorsAt));
            for (int i = 0; i < 3; i++) {
                result[i] = read(outs[i], size);
            }
        }
        double[][] wanted = new double[3][size];
        for (int i = 0; i < size; i++) {
            wanted[0][i] = product[i / feedForward * 2 * feedForward + i % feedForward];
            wanted[1][i] = product[i / feedForward * 2 * feedForward + feedForward + i % feedForward];
            double gate = results[0][0][i];
            wanted[2][i] = gate / (1 + Math.exp(-gate)) * results[0][1][i]; // of what is kept for the gradient
        }
        String[] names = {"gate", "up", "activated"};
        for (int i = 0; i < 3; i++) {
            String what = names[i] + " of " + rows + " rows, " + width + " to " + feedForward;
            assertClose(what, wanted[i], results[0][i]);
            assertArrayEquals(results[0][i], results[1][i], what + ": the same bits each time");
        }
    }

    private void gradientIs(int rows, int width, int feedForward) {
        int size = rows * feedForward;
        float[] dy = normal(rows * width, 1);
        float[] weights = normal(width * feedForward, 1 / Math.sqrt(width));
        float[] gate = normal(size, 1.5);
        float[] up = normal(size, 1);
        long[] in = {narrow(gate), narrow(up), narrow(dy), narrow(weights)};
        double[] product = product(dy, weights, rows, width, feedForward, true);
        int parts = HopperProducts.gatedDots(feedForward);
        float[][][] results = new float[2][3][];
        for (float[][] result : results) {
            long packed = untouched(2 * size);
            long activated = untouched(size);
            long dots = full(new float[parts * rows]);
            assertTrue(products.gatedBackward(
                    packed, activated, in[0], in[1], in[2], rows, width, feedForward, in[3], dots));
            result[0] = read(packed, 2 * size);
            result[1] = read(activated, size);
            float[] ofParts = new float[parts * rows];
            context.transfers.read(dots, false, ofParts);
            result[2] = new float[rows];
            for (int i = 0; i < ofParts.length; i++) {
                result[2][i % rows] += ofParts[i];
            }
        }
        double[] dots = new double[rows];
        double squares = 0; // of what is added up, which may cancel
        double[] packed = new double[2 * size];
        double[] activated = new double[size];
        for (int i = 0; i < size; i++) {
            double sigmoid = 1 / (1 + Math.exp(-gate[i]));
            int at = i / feedForward * 2 * feedForward + i % feedForward;
            packed[at] = product[i] * up[i] * sigmoid * (1 + gate[i] * (1 - sigmoid));
            packed[at + feedForward] = product[i] * gate[i] * sigmoid;
            activated[i] = gate[i] * sigmoid * up[i];
            double term = packed[at] * gate[i] + packed[at + feedForward] * up[i];
            dots[i / feedForward] += term;
            squares += term * term;
        }
        String what = rows + " rows, " + width + " to " + feedForward;
        assertClose("gradients of " + what, packed, results[0][0]);
        assertClose("activated of " + what, activated, results[0][1]);
        double difference = 0;
        for (int row = 0; row < rows; row++) {
            difference += Math.pow(results[0][2][row] - dots[row], 2);
        }
        double relative = Math.sqrt(difference / squares);
        assertTrue(relative < MOST, "sums over rows of " + what + ": " + relative + " of the terms, seed " + SEED);
        assertArrayEquals(results[0][2], results[1][2], what + ": the same bits each time");
        assertArrayEquals(results[0][0], results[1][0], what + ": the same bits each time");
        assertArrayEquals(results[0][1], results[1][1], what + ": the same bits each time");
    }

    /** Numbers that bfloat16 holds exactly. */
    private float[] normal(int count, double spread) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = Float.intBitsToFloat(
                    Float.floatToRawIntBits((float) (random.nextGaussian() * spread)) & 0xffff0000);
        }
        return values;
    }

    private static double[] product(float[] x, float[] weights, int rows, int inner, int columns, boolean across) {
        double[] out = new double[rows * columns];
        IntStream.range(0, rows).parallel().forEach(row -> {
            for (int column = 0; column < columns; column++) {
                double sum = 0;
                for (int k = 0; k < inner; k++) {
                    sum += (double) x[row * inner + k] * weights[across ? k * columns + column : column * inner + k];
                }
                out[row * columns + column] = sum;
            }
        });
        return out;
    }

    private void assumeHopper() {
        assumeTrue(context.device.isHopper(), "skipped, the GPU is not of compute capability 9.0");
    }

    /** Values in bfloat16 on the device. */
    private long narrow(float[] values) {
        long address = context.memory.allocate(2L * values.length, "a test").address();
        context.transfers.write(address, true, values);
        return address;
    }

    /** Room for a result, with a guard behind it. */
    private long untouched(int elements) {
        float[] values = new float[elements + GUARD];
        Arrays.fill(values, UNTOUCHED);
        return narrow(values);
    }

    private float[] read(long address, int elements) {
        float[] values = new float[elements + GUARD];
        context.transfers.read(address, true, values);
        for (int i = elements; i < values.length; i++) {
            assertEquals(UNTOUCHED, values[i], "an element behind the end");
        }
        return Arrays.copyOf(values, elements);
    }

    private static void assertClose(String what, double[] wanted, float[] got) {
        double difference = 0;
        double size = 0;
        for (int i = 0; i < wanted.length; i++) {
            difference += (got[i] - wanted[i]) * (got[i] - wanted[i]);
            size += wanted[i] * wanted[i];
        }
        double relative = Math.sqrt(difference / size);
        assertTrue(relative < MOST, what + ": " + relative + " of the norm, seed " + SEED);
    }
}
