package io.mor.backend.cpu;

import java.util.Arrays;

/**
 * The matrix product {@code out (+)= op(a) @ op(b)}.
 *
 * <p>The right operand is packed into panels, {@link Tiles} compute; the left one is read where it is. Every element of the result is the same
 * chain of additions in ascending k for any number of rows and of threads, so a product with one row (generation) gives the bits that the same
 * row gets in a large one. How a product is computed depends on n, k and the transpositions only.
 */
final class MatrixProduct {

    private static final int PANELS_PER_PART =
            16; // with LONGEST_RUN about 800 KB of b, which stay in the second-level cache
    private static final int TILES_PER_PART = 40;
    private static final double SMALLEST_PART =
            5e5; // operations: some microseconds, ten times what handing out a part costs
    private static final int FEW_ROWS = 12; // packing b pays from here

    private final Workers workers;
    private final Memory memory;
    private final float[][] edgeTiles; // [thread][HEIGHT * WIDTH]: tiles that c has not all columns of

    MatrixProduct(Workers workers, Memory memory) {
        this.workers = workers;
        this.memory = memory;
        edgeTiles = new float[workers.threads()][Tiles.HEIGHT * Tiles.WIDTH];
    }

    /**
     * Multiplies.
     *
     * @param m rows of out
     * @param n columns of out
     * @param k what is summed over
     */
    void multiply(
            CpuTensor out,
            int m,
            int n,
            int k,
            CpuTensor a,
            boolean transposeA,
            CpuTensor b,
            boolean transposeB,
            boolean accumulate) {
        if (m == 0) {
            return;
        }
        int aRow = transposeA ? 1 : a.columns();
        int aStep = transposeA ? a.columns() : 1;
        if (k == 0) {
            if (!accumulate) {
                Arrays.fill(out.values(), out.offset(), out.offset() + m * n, 0f);
            }
        } else if (transposeB && !transposeA && isNarrow(n, k)) {
            dots(out, m, n, k, a, b, accumulate);
        } else if (!transposeB && m < FEW_ROWS) {
            direct(out, m, n, k, a, aRow, aStep, b, accumulate);
        } else {
            packed(out, m, n, k, a, aRow, aStep, transposeA, b, transposeB, accumulate);
        }
    }

    /** Whether dot products of rows take less work than a panel that is mostly empty; must not depend on the number of rows. */
    private static boolean isNarrow(int n, int k) {
        return n <= Tiles.WIDTH / 2 && n * (k / Vectors.LANES + 20) < 2 * k;
    }

    private void dots(CpuTensor out, int m, int n, int k, CpuTensor a, CpuTensor b, boolean accumulate) {
        float[] o = out.values();
        workers.split(m, 1 + (int) (SMALLEST_PART / (2.0 * n * k)), (from, to) -> {
            for (int row = from; row < to; row++) {
                for (int column = 0; column < n; column++) {
                    float dot =
                            Elementwise.dot(a.values(), a.offset() + row * k, b.values(), b.offset() + column * k, k);
                    int at = out.offset() + row * n + column;
                    o[at] = accumulate ? o[at] + dot : dot;
                }
            }
        });
    }

    private void packed(
            CpuTensor out,
            int m,
            int n,
            int k,
            CpuTensor a,
            int aRow,
            int aStep,
            boolean transposeA,
            CpuTensor b,
            boolean transposeB,
            boolean accumulate) {
        long size = PackedPanels.size(n, k);
        float[] kept = null;
        if (!transposeA) { // else b holds activations, which change before they come again
            kept = PackedPanels.kept(b, n, k, transposeB, memory, workers);
        }
        float[] panels = kept;
        if (kept == null) {
            panels = memory.take(size, "packed matrix [" + k + ", " + n + "]");
            PackedPanels.pack(b.values(), b.offset(), n, k, transposeB, panels, workers);
        }
        int run = PackedPanels.runLength(k);
        int panelCount = PackedPanels.panels(n);
        float[] right = panels;
        parts(m, n, k, (thread, firstRow, endRow, firstPanel, endPanel) -> {
            for (int first = 0; first < k; first += run) {
                int length = Math.min(run, k - first);
                boolean load = accumulate || first > 0;
                for (int row = firstRow; row < endRow; ) {
                    int height = Tiles.height(endRow - row);
                    int ao = a.offset() + row * aRow + first * aStep;
                    for (int panel = firstPanel; panel < endPanel; panel++) {
                        int bo = first * panelCount * Tiles.WIDTH + panel * length * Tiles.WIDTH;
                        tile(
                                height,
                                a.values(),
                                ao,
                                aRow,
                                aStep,
                                right,
                                bo,
                                Tiles.WIDTH,
                                out,
                                row,
                                panel,
                                n,
                                length,
                                load,
                                edgeTiles[thread]);
                    }
                    row += height;
                }
            }
        });
        if (kept == null) {
            memory.giveBack(right);
        }
    }

    /** Few rows times an untransposed b, which is read where it is; only its last, incomplete panel is packed. */
    private void direct(
            CpuTensor out, int m, int n, int k, CpuTensor a, int aRow, int aStep, CpuTensor b, boolean accumulate) {
        int run = PackedPanels.runLength(k);
        int whole = n / Tiles.WIDTH;
        int rest = n % Tiles.WIDTH;
        float[] last = memory.take((long) k * Tiles.WIDTH, "packed matrix [" + k + ", " + rest + "]");
        if (rest > 0) {
            PackedPanels.packRows(b.values(), b.offset() + whole * Tiles.WIDTH, n, rest, k, last, 0);
        }
        parts(m, n, k, (thread, firstRow, endRow, firstPanel, endPanel) -> {
            for (int first = 0; first < k; first += run) {
                int length = Math.min(run, k - first);
                boolean load = accumulate || first > 0;
                for (int row = firstRow; row < endRow; ) {
                    int height = Tiles.height(endRow - row);
                    int ao = a.offset() + row * aRow + first * aStep;
                    for (int panel = firstPanel; panel < endPanel; panel++) {
                        boolean isWhole = panel < whole;
                        float[] right = isWhole ? b.values() : last;
                        int bo = isWhole ? b.offset() + first * n + panel * Tiles.WIDTH : first * Tiles.WIDTH;
                        int bStep = isWhole ? n : Tiles.WIDTH;
                        tile(
                                height,
                                a.values(),
                                ao,
                                aRow,
                                aStep,
                                right,
                                bo,
                                bStep,
                                out,
                                row,
                                panel,
                                n,
                                length,
                                load,
                                edgeTiles[thread]);
                    }
                    row += height;
                }
            }
        });
        memory.giveBack(last);
    }

    private static void tile(
            int height,
            float[] a,
            int ao,
            int aRow,
            int aStep,
            float[] b,
            int bo,
            int bStep,
            CpuTensor out,
            int row,
            int panel,
            int n,
            int k,
            boolean load,
            float[] edge) {
        int column = panel * Tiles.WIDTH;
        int co = out.offset() + row * n + column;
        int width = n - column;
        if (width >= Tiles.WIDTH) {
            Tiles.multiply(height, a, ao, aRow, aStep, b, bo, bStep, out.values(), co, n, k, load);
            return;
        }
        if (load) {
            for (int i = 0; i < height; i++) {
                System.arraycopy(out.values(), co + i * n, edge, i * Tiles.WIDTH, width);
            }
        }
        Tiles.multiply(height, a, ao, aRow, aStep, b, bo, bStep, edge, 0, Tiles.WIDTH, k, load);
        for (int i = 0; i < height; i++) {
            System.arraycopy(edge, i * Tiles.WIDTH, out.values(), co + i * n, width);
        }
    }

    /** A rectangle of tiles of the result. */
    @FunctionalInterface
    private interface Rectangle {
        void run(int thread, int firstRow, int endRow, int firstPanel, int endPanel);
    }

    /** Splits the result into rectangles that are large enough to be worth a thread and small enough for the caches. */
    private void parts(int m, int n, int k, Rectangle rectangle) {
        int panels = PackedPanels.panels(n);
        int tileRows = (m + Tiles.HEIGHT - 1) / Tiles.HEIGHT;
        int wanted = (int) Math.min(workers.threads() * 4.0, 1 + 2.0 * m * n * k / SMALLEST_PART);
        int columnParts = ceilDiv(panels, PANELS_PER_PART);
        int rowParts = Math.min(tileRows, Math.max(ceilDiv(wanted, columnParts), ceilDiv(tileRows, TILES_PER_PART)));
        if (rowParts * columnParts < wanted) {
            columnParts = Math.min(panels, ceilDiv(wanted, rowParts));
        }
        int across = columnParts;
        int down = rowParts;
        workers.run(across * down, (thread, part) -> {
            int i = part / across;
            int j = part % across;
            int firstRow = (int) ((long) tileRows * i / down) * Tiles.HEIGHT;
            int endRow = Math.min(m, (int) ((long) tileRows * (i + 1) / down) * Tiles.HEIGHT);
            int firstPanel = (int) ((long) panels * j / across);
            int endPanel = (int) ((long) panels * (j + 1) / across);
            rectangle.run(thread, firstRow, endRow, firstPanel, endPanel);
        });
    }

    private static int ceilDiv(int a, int b) {
        return (a + b - 1) / b;
    }
}
