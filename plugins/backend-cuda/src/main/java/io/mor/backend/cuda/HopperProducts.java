package io.mor.backend.cuda;

import io.mor.backend.cuda.TensorMaps.Boxes;

/**
 * Matrix products in bfloat16 with sums in single precision, on compute capability 9.0, that do in the same pass what else would be a pass over their
 * results; see products_hopper.cu. All matrices are contiguous row-major. Each method returns false, and has done nothing, where its kernel cannot be
 * used: on another card, for no rows, for sizes that it is not made for, for addresses that are no multiples of 16.
 */
final class HopperProducts extends KernelFamily {

    static final int HEAD = 64;
    private static final int MOST_TENSORS = 3;
    private static final int TILE_ROWS = 128;
    private static final int STAGES = 4;
    private static final int LEFT_BYTES = TILE_ROWS * 64 * 2; // of a stage
    private static final int PART_BYTES = 64 * 64 * 2; // of 64 columns of a tile in a stage
    private static final int BARRIERS_BYTES = 128; // at most

    private static final int WEIGHTS_TILE = 192; // rows and columns of a tile of a weights' gradient
    private static final int WEIGHTS_WARPS = 12; // that have sums of it
    private static final int WEIGHTS_THREADS = 512;
    private static final int WEIGHTS_BYTES = STAGES * 2 * WEIGHTS_TILE * 64 * 2 + BARRIERS_BYTES;
    private static final int MOST_CHUNKS = 6;
    private static final int LEAST_ROWS_OF_WEIGHTS = 16384; // 21,845 rows gain up to 7 %, 10,922 nothing
    private static final double LEAST_BUSY = 0.93; // of the card; 0.947 gains, 0.68 loses

    /** From which on heads and a gated unit are made by pairs of blocks: with fewer rows pairs share the work less evenly than they gain. */
    static final int LEAST_ROWS_IN_PAIRS = 16384;

    /** How a kernel cuts its work; the numbers of its structure in products_hopper.cu. */
    private enum Cut {
        LINEARS(1, 256, TILE_ROWS * HEAD / 2 * 8, 384),
        LINEARS_IN_PAIRS(2, 256, TILE_ROWS * HEAD / 2 * 8, 384),
        GATED(1, 256, 8 * 2 * 16 * 64 * 2, 384),
        GATED_IN_PAIRS(2, 256, 8 * 2 * 16 * 64 * 2, 384),
        TAKEN_APART(1, 192, 6 * PART_BYTES, 512),
        RESIDUAL(1, 192, 6 * PART_BYTES + 18 * 8, 384); // and barriers of its pieces

        final int team; // blocks that bring weights together
        final int columns; // of a tile of the product
        final int sharedBytes;
        final int threads;

        Cut(int team, int columns, int besideBytes, int threads) {
            this.team = team;
            this.columns = columns;
            this.sharedBytes = STAGES * (LEFT_BYTES + columns / 64 * PART_BYTES) + besideBytes + BARRIERS_BYTES;
            this.threads = threads;
        }
    }

    private final DeviceMemory.Block arrivals; // zeros between launches: warps with sums, of each tile

    HopperProducts(CudaContext context) {
        super(context);
        int count = WEIGHTS_WARPS * context.device.multiprocessors;
        this.arrivals = context.memory.allocate(4L * count, "counts of weights' gradients");
        context.transfers.write(arrivals.address(), new int[count]);
    }

    /**
     * {@code outs = x @ transpose(weights)}, rotated and dealt to tensors of whole heads of 64, of which there are three at most.
     *
     * @param outs each {@code [rows, 64 outHeads]}, written
     * @param outHeads one or more for each
     * @param rotated which of them are rotated, as by {@code narrowSplit}
     * @param x {@code [rows, inner]}; inner a multiple of 8
     * @param weights {@code [64 sum of outHeads, inner]}, in the order of outs
     * @param positions {@code int [rows]}
     * @param frequencies {@code double [32]}
     * @param factors {@code float [rows]}: what all results of a row are multiplied by; 0 for 1
     */
    boolean linears(
            long[] outs,
            int[] outHeads,
            boolean[] rotated,
            long x,
            int rows,
            int inner,
            long weights,
            long positions,
            long frequencies,
            long factors) {
        if (outs.length == 0
                || outs.length > MOST_TENSORS
                || !canMultiply(rows, inner, x, weights)
                || !areAligned(outs)) {
            return false;
        }
        int heads = 0;
        int bits = 0;
        long[] ends = new long[MOST_TENSORS];
        long[] tensors = new long[MOST_TENSORS];
        for (int i = 0; i < MOST_TENSORS; i++) {
            if (i < outs.length) {
                if (outHeads[i] <= 0) {
                    return false;
                }
                tensors[i] = outs[i];
                heads += outHeads[i];
                bits |= rotated[i] ? 1 << i : 0;
            }
            ends[i] = heads;
        }
        long[] maps = context.tensorMaps.of(new Boxes(x, rows, inner, TILE_ROWS));
        long[] weightMap = context.tensorMaps.of(new Boxes(weights, HEAD * heads, inner, HEAD, true));
        Cut cut = rows >= LEAST_ROWS_IN_PAIRS ? Cut.LINEARS_IN_PAIRS : Cut.LINEARS;
        Kernels launch = kernel(cut == Cut.LINEARS ? "hopperLinears" : "hopperLinearsInPairs")
                .words(maps)
                .words(weightMap)
                .words(tensors)
                .words(ends)
                .pointer(positions)
                .pointer(frequencies)
                .pointer(factors)
                .wide(rows)
                .wide(inner)
                .wide(bits);
        note(rows, inner, HEAD * heads, (double) rows * HEAD * heads);
        launch(launch, cut, rows, HEAD * heads);
        return true;
    }

    /**
     * {@code gate = x @ transpose(weights' first half)}, {@code up = x @ transpose(weights' second half)}, {@code activated = silu(gate) * up}.
     *
     * @param gate {@code [rows, feedForward]}, written
     * @param up the same
     * @param activated the same, from gate and up as they were rounded
     * @param x {@code [rows, width]}; width a multiple of 8
     * @param feedForward a multiple of 64
     * @param weights {@code [2 feedForward, width]}: gate's, then up's
     * @param factors {@code float [rows]}: what gate and up of a row are multiplied by; 0 for 1
     */
    boolean gatedLinears(
            long gate,
            long up,
            long activated,
            long x,
            int rows,
            int width,
            int feedForward,
            long weights,
            long factors) {
        if (!canMultiply(rows, width, x, weights)
                || feedForward <= 0
                || feedForward % 64 != 0
                || !areAligned(gate, up, activated)) {
            return false;
        }
        Cut cut = rows >= LEAST_ROWS_IN_PAIRS ? Cut.GATED_IN_PAIRS : Cut.GATED;
        Kernels launch = kernel(cut == Cut.GATED ? "hopperGatedLinears" : "hopperGatedLinearsInPairs")
                .words(map(x, rows, width, TILE_ROWS))
                .words(map(weights, 2 * feedForward, width, 128))
                .words(map(gate, rows, feedForward, 16))
                .words(map(up, rows, feedForward, 16))
                .words(map(activated, rows, feedForward, 16))
                .pointer(factors)
                .wide(rows)
                .wide(width)
                .wide(feedForward);
        note(rows, width, 2 * feedForward, 3.0 * rows * feedForward);
        launch(launch, cut, rows, 2 * feedForward);
        return true;
    }

    /**
     * The gradient of {@code silu(gate) * up} of {@code dy @ downWeights}, and that value again.
     *
     * @param packed {@code [rows, 2 feedForward]}, written: in each row gate's gradient, then up's
     * @param activated {@code [rows, feedForward]}, written: {@code silu(gate) * up}
     * @param gate {@code [rows, feedForward]}
     * @param up the same
     * @param dy {@code [rows, width]}; width a multiple of 8
     * @param feedForward a multiple of 64
     * @param downWeights {@code [width, feedForward]}
     * @param dots {@code float [gatedDots(feedForward), rows]}, written: of each row, parts of the sum of gate times its gradient and up times its own;
     *     or 0
     */
    boolean gatedBackward(
            long packed,
            long activated,
            long gate,
            long up,
            long dy,
            int rows,
            int width,
            int feedForward,
            long downWeights,
            long dots) {
        if (!canMultiply(rows, width, dy, downWeights)
                || feedForward <= 0
                || feedForward % 64 != 0
                || !areAligned(packed, activated, gate, up)) {
            return false;
        }
        Kernels launch = kernel("hopperGatedBackward")
                .words(map(dy, rows, width, TILE_ROWS))
                .words(map(downWeights, width, feedForward, 64))
                .pointer(packed)
                .pointer(activated)
                .pointer(gate)
                .pointer(up)
                .pointer(dots)
                .wide(rows)
                .wide(width)
                .wide(feedForward);
        note(rows, width, feedForward, 5.0 * rows * feedForward);
        launch(launch, Cut.TAKEN_APART, rows, feedForward);
        return true;
    }

    /**
     * What arrives at the result of an attention with heads of 64 when {@code dy} arrives at its product with the transpose of {@code weights}, and what
     * the attention's gradient needs of it, as the kernel flashStatistics64 makes it.
     *
     * @param dout {@code [rows, 64 heads]}, written
     * @param statistics {@code float [heads, paddedRows]}, written: logSumExp in base 2
     * @param dotProducts the same: of each row the sum over a head of out times dout
     * @param paddedRows rows up to a multiple of 128
     * @param out {@code [rows, 64 heads]}: the attention's result
     * @param logSumExp {@code float [rows, heads]}
     * @param dy {@code [rows, width]}; width a multiple of 8
     * @param weights {@code [width, 64 heads]}
     */
    boolean outputGradient(
            long dout,
            long statistics,
            long dotProducts,
            int paddedRows,
            long out,
            long logSumExp,
            int heads,
            long dy,
            int rows,
            int width,
            long weights) {
        if (!canMultiply(rows, width, dy, weights)
                || paddedRows != Math.ceilDiv(rows, TILE_ROWS) * TILE_ROWS
                || heads <= 0
                || !areAligned(dout, out)) {
            return false;
        }
        int columns = HEAD * heads;
        Kernels launch = kernel("hopperOutputGradient")
                .words(map(dy, rows, width, TILE_ROWS))
                .words(map(weights, width, columns, 64))
                .words(map(dout, rows, columns, 64))
                .pointer(out)
                .pointer(logSumExp)
                .pointer(statistics)
                .pointer(dotProducts)
                .wide(rows)
                .wide(width)
                .wide(columns)
                .wide(paddedRows);
        note(rows, width, columns, 2.0 * rows * columns + 6.0 * rows * heads);
        launch(launch, Cut.TAKEN_APART, rows, columns);
        return true;
    }

    /**
     * {@code out = base + a @ transpose(weights)}, rounded once, and of each row sums of its results' squares as they were rounded.
     *
     * @param out {@code [rows, columns]}, written; it may be base
     * @param squares {@code float [squaresParts(columns), rows]}, written: of each row, parts of the sum of its squares; or 0
     * @param base {@code [rows, columns]}
     * @param a {@code [rows, inner]}; inner a multiple of 8
     * @param weights {@code [columns, inner]}
     * @param columns a multiple of 8; with a multiple of 192 no work is lost
     */
    boolean residual(long out, long squares, long base, long a, int rows, int inner, long weights, int columns) {
        if (!canMultiply(rows, inner, a, weights) || columns <= 0 || columns % 8 != 0 || !areAligned(out, base)) {
            return false;
        }
        Kernels launch = kernel("hopperResidual")
                .words(map(a, rows, inner, TILE_ROWS))
                .words(map(weights, columns, inner, Cut.RESIDUAL.columns))
                .words(map(base, rows, columns, 64))
                .words(map(out, rows, columns, 64))
                .pointer(squares)
                .wide(rows)
                .wide(inner)
                .wide(columns);
        note(rows, inner, columns, 2.0 * rows * columns);
        launch(launch, Cut.RESIDUAL, rows, columns);
        return true;
    }

    /**
     * Into how many chunks the rows are cut of which a weights' gradient is the sum.
     *
     * @param whole for tiles of {@link #WEIGHTS_TILE} rows
     * @param rest for those of fewer, the last ones
     * @param blocks of all: one for each tile and chunk
     */
    private record Chunks(int whole, int rest, int blocks) {

        /** As many as make one round of blocks, all of which must be there at the same time; tiles of few rows take less time and so fewer chunks. */
        static Chunks of(int m, int n, int rows, int multiprocessors) {
            int columns = Math.ceilDiv(n, WEIGHTS_TILE);
            int wholeTiles = m / WEIGHTS_TILE * columns;
            int restRows = m % WEIGHTS_TILE;
            int restTiles = restRows == 0 ? 0 : columns;
            double tiles = wholeTiles + (double) restTiles * restRows / WEIGHTS_TILE;
            int most = Math.min(MOST_CHUNKS, Math.ceilDiv(rows, 64));
            int whole = Math.min((int) (multiprocessors / tiles), most);
            int rest = restTiles == 0 ? 1 : Math.min((multiprocessors - wholeTiles * whole) / restTiles, most);
            return new Chunks(whole, rest, wholeTiles * whole + restTiles * rest);
        }

        boolean isOneRound(int multiprocessors) {
            return whole > 0 && rest > 0 && blocks <= multiprocessors;
        }
    }

    /**
     * {@code out = transpose(a) @ b}, in single precision, or added to what was there. The rows are summed in chunks, whose sums are added in their
     * order, the first chunk's first; the same on cards with as many multiprocessors. Blocks wait for each other: all must find a multiprocessor, as they do
     * where nothing else stays on the card.
     *
     * @param out {@code float [m, n]}, written
     * @param accumulate whether it is added to
     * @param a {@code [rows, m]}; m a multiple of 8
     * @param pitch elements from a row of a to the next, a multiple of 8
     * @param b {@code [rows, n]}; n a multiple of 8. More than about one tile of 192 by 192 results for each multiprocessor cannot be made
     */
    boolean weightGradient(long out, boolean accumulate, long a, int pitch, int m, long b, int n, int rows) {
        int multiprocessors = context.device.multiprocessors;
        if (!canMultiply(rows, m, a, b) || n <= 0 || n % 8 != 0 || pitch < m || pitch % 8 != 0 || !areAligned(out)) {
            return false;
        }
        Chunks chunks = Chunks.of(m, n, rows, multiprocessors);
        if (!chunks.isOneRound(multiprocessors)) {
            return false;
        }
        Kernels launch = kernel("hopperWeightGradient")
                .words(context.tensorMaps.of(new Boxes(a, rows, m, pitch, 64, false)))
                .words(map(b, rows, n, 64))
                .pointer(out)
                .pointer(scratch(4L * WEIGHTS_TILE * WEIGHTS_TILE * chunks.blocks))
                .pointer(arrivals.address())
                .wide(rows)
                .wide(m)
                .wide(n)
                .wide(chunks.whole)
                .wide(chunks.rest)
                .wide(accumulate ? 1 : 0);
        note(m, rows, n, 2.0 * m * n * (accumulate ? 2 : 1));
        launch.launch(chunks.blocks, 1, 1, WEIGHTS_THREADS, 1, WEIGHTS_BYTES);
        return true;
    }

    /**
     * Whether {@link #weightGradient} is faster than the library's product: where its blocks fill the card, and the sums are long enough that exchanging
     * them does not count.
     */
    boolean gainsFromOwnWeightGradient(int m, int n, int rows) {
        int multiprocessors = context.device.multiprocessors;
        if (!context.device.isHopper() || rows < LEAST_ROWS_OF_WEIGHTS || m <= 0 || n <= 0) {
            return false;
        }
        Chunks chunks = Chunks.of(m, n, rows, multiprocessors);
        double tiles = (double) m * n / (WEIGHTS_TILE * WEIGHTS_TILE);
        return chunks.isOneRound(multiprocessors) && tiles * chunks.whole >= LEAST_BUSY * multiprocessors;
    }

    /** Parts of a row's sum of squares that {@link #residual} makes. */
    static int squaresParts(int columns) {
        return Math.ceilDiv(columns, Cut.RESIDUAL.columns);
    }

    /** Parts of a row's sum that {@link #gatedBackward} makes. */
    static int gatedDots(int feedForward) {
        return Math.ceilDiv(feedForward, Cut.TAKEN_APART.columns);
    }

    private boolean canMultiply(int rows, int inner, long... factors) {
        return context.device.isHopper() && rows > 0 && inner > 0 && inner % 8 == 0 && areAligned(factors);
    }

    private static boolean areAligned(long... addresses) {
        for (long address : addresses) {
            if (address % 16 != 0) {
                return false;
            }
        }
        return true;
    }

    private long[] map(long address, int rows, int columns, int boxRows) {
        return context.tensorMaps.of(new Boxes(address, rows, columns, boxRows));
    }

    /** Tells the clock of launches what is multiplied and moved: both factors once and elements that are read or written beside them. */
    private void note(int rows, int inner, int columns, double elements) {
        context.kernels.operand(2 * ((double) inner * ((double) rows + columns) + elements));
        context.kernels.multiplies(2.0 * rows * inner * columns);
    }

    private void launch(Kernels launch, Cut cut, int rows, int columns) {
        long tiles = (long) Math.ceilDiv(rows, TILE_ROWS * cut.team) * Math.ceilDiv(columns, cut.columns);
        int teams = (int) Math.min(tiles, context.device.multiprocessors / cut.team);
        launch.launch(teams * cut.team, 1, 1, cut.threads, 1, cut.sharedBytes);
    }
}
