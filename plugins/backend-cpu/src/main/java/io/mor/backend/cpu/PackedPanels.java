package io.mor.backend.cpu;

/**
 * The right operand {@code [k, n]} of a matrix product in the order in which {@link Tiles} read it: runs of up to {@link #LONGEST_RUN} values of
 * k, in each run panels of {@link Tiles#WIDTH} columns, in each panel rows of k. Missing columns of the last panel are 0.
 *
 * <p>What is multiplied by again without having been written meanwhile, which is what weights are in generation, in gradient accumulation and
 * in recursions, stays packed: at the second sight of the same version.
 */
final class PackedPanels {

    /** Longest run of k: with the rows of a tile it stays in the first-level cache. */
    static final int LONGEST_RUN = 384;

    private final int offset;
    private final int n;
    private final int k;
    private final boolean transposed;
    private long version;
    private float[] values; // null until seen twice

    private PackedPanels(int offset, int n, int k, boolean transposed, long version) {
        this.offset = offset;
        this.n = n;
        this.k = k;
        this.transposed = transposed;
        this.version = version;
    }

    /** Values of k per run, but for the last run. It depends on k alone, so the order of all sums does. */
    static int runLength(int k) {
        int runs = Math.max(1, (k + LONGEST_RUN - 1) / LONGEST_RUN);
        return (k + runs - 1) / runs;
    }

    static int panels(int n) {
        return (n + Tiles.WIDTH - 1) / Tiles.WIDTH;
    }

    /** Elements of the packed form. */
    static long size(int n, int k) {
        return (long) panels(n) * Tiles.WIDTH * k;
    }

    /**
     * The packed form of {@code b} if it is kept.
     *
     * @return null if it is not kept: pack it for this product only
     */
    static float[] kept(CpuTensor b, int n, int k, boolean transposed, Memory memory, Workers workers) {
        Storage storage = b.storage();
        PackedPanels packed = find(storage, b.offset(), n, k, transposed);
        if (packed == null) {
            storage.packed().add(new PackedPanels(b.offset(), n, k, transposed, storage.version()));
            return null;
        }
        boolean current = packed.version == storage.version();
        packed.version = storage.version();
        if (packed.values == null) {
            if (!current) {
                return null;
            }
            packed.values = memory.takePacked(size(n, k), "packed matrix [" + k + ", " + n + "]");
            if (packed.values == null) {
                return null;
            }
            current = false;
        }
        if (!current) {
            pack(b.values(), b.offset(), n, k, transposed, packed.values, workers);
        }
        return packed.values;
    }

    private static PackedPanels find(Storage storage, int offset, int n, int k, boolean transposed) {
        for (PackedPanels packed : storage.packed()) {
            if (packed.offset == offset && packed.n == n && packed.k == k && packed.transposed == transposed) {
                return packed;
            }
        }
        return null;
    }

    void drop(Memory memory) {
        if (values != null) {
            memory.giveBackPacked(values);
            values = null;
        }
    }

    /**
     * Packs {@code b}: {@code [k, n]}, or {@code [n, k]} if transposed, rows without gaps, from {@code bo}.
     */
    static void pack(float[] b, int bo, int n, int k, boolean transposed, float[] out, Workers workers) {
        int run = runLength(k);
        int runs = k == 0 ? 0 : (k + run - 1) / run;
        int panels = panels(n);
        int panelsPerPart = Math.max(1, 16_384 / (Tiles.WIDTH * Math.max(1, run)));
        int partsPerRun = (panels + panelsPerPart - 1) / panelsPerPart;
        workers.run(runs * partsPerRun, (thread, part) -> {
            int first = part / partsPerRun * run;
            int length = Math.min(run, k - first);
            int panel = part % partsPerRun * panelsPerPart;
            int end = Math.min(panels, panel + panelsPerPart);
            for (; panel < end; panel++) {
                int target = first * panels * Tiles.WIDTH + panel * length * Tiles.WIDTH;
                int column = panel * Tiles.WIDTH;
                int width = Math.min(Tiles.WIDTH, n - column);
                if (transposed) {
                    packTransposed(b, bo + column * k + first, k, width, length, out, target);
                } else {
                    packRows(b, bo + first * n + column, n, width, length, out, target);
                }
            }
        });
    }

    /** A panel whose rows of k lie {@code stride} apart. */
    static void packRows(float[] b, int bo, int stride, int width, int length, float[] out, int target) {
        for (int i = 0; i < length; i++) {
            int to = target + i * Tiles.WIDTH;
            System.arraycopy(b, bo + i * stride, out, to, width);
            for (int j = width; j < Tiles.WIDTH; j++) {
                out[to + j] = 0f;
            }
        }
    }

    /** A panel whose columns lie {@code stride} apart, each with its values of k side by side. */
    static void packTransposed(float[] b, int bo, int stride, int width, int length, float[] out, int target) {
        int column = 0;
        for (; column + 8 <= width; column += 8) {
            packEightColumns(b, bo + column * stride, stride, length, out, target + column);
        }
        for (; column < Tiles.WIDTH; column++) {
            int from = bo + column * stride;
            for (int i = 0; i < length; i++) {
                out[target + i * Tiles.WIDTH + column] = column < width ? b[from + i] : 0f;
            }
        }
    }

    private static void packEightColumns(float[] b, int bo, int stride, int length, float[] out, int target) {
        int b1 = bo + stride;
        int b2 = b1 + stride;
        int b3 = b2 + stride;
        int b4 = b3 + stride;
        int b5 = b4 + stride;
        int b6 = b5 + stride;
        int b7 = b6 + stride;
        for (int i = 0; i < length; i++) {
            int to = target + i * Tiles.WIDTH;
            out[to] = b[bo + i];
            out[to + 1] = b[b1 + i];
            out[to + 2] = b[b2 + i];
            out[to + 3] = b[b3 + i];
            out[to + 4] = b[b4 + i];
            out[to + 5] = b[b5 + i];
            out[to + 6] = b[b6 + i];
            out[to + 7] = b[b7 + i];
        }
    }
}
