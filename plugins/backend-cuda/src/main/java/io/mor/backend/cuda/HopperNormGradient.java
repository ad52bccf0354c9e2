package io.mor.backend.cuda;

import io.mor.backend.cuda.TensorMaps.Boxes;

/**
 * What arrives at the rows before a norm, of what arrives at projections of its result, as one pass of compute capability 9.0; see norm_hopper.cu.
 */
final class HopperNormGradient extends KernelFamily {

    /** From which on it is used: fewer rows do not keep all multiprocessors busy. */
    static final int LEAST_ROWS = 4096;

    private static final int TILE_ROWS = 128;
    private static final int COLUMNS = 192; // of a tile
    private static final int DEPTH = 64;
    private static final int STAGES = 4;
    private static final int FINISHERS = 4;
    private static final int THREADS = 512;
    private static final int SHARED_BYTES =
            STAGES * 2 * DEPTH * (TILE_ROWS + COLUMNS) + TILE_ROWS * (2 * COLUMNS + 16) + 16 * STAGES + 16;

    HopperNormGradient(CudaContext context) {
        super(context);
    }

    /** Whether there is a kernel for a width on this card, and rows enough for it. */
    boolean takes(int rows, int width) {
        return rows >= LEAST_ROWS && hasWidth(width) && context.device.isHopper();
    }

    private static boolean hasWidth(int width) {
        return width == 3 * COLUMNS || width == 5 * COLUMNS;
    }

    /**
     * The gradient, of matrices in bfloat16 without gaps; false, and nothing is done, on another card, for no rows, for sizes that it is not made
     * for, for addresses that are no multiples of 16.
     *
     * @param dx {@code [rows, width]}, written, or added to
     * @param dweight {@code float [width]}, added to
     * @param normed {@code [rows, width]}, written: the norm's result again; 0 if it is not wanted
     * @param x {@code [rows, width]}
     * @param rstd {@code float [rows]}
     * @param scale {@code float [width]}: the norm's weight
     * @param packed {@code [rows, inner]}: what arrives at the projections; inner a multiple of 8
     * @param weights {@code [inner, width]}: the projections'
     * @param dots {@code float [dotCount, rows]}: of each row, parts of the sum of packed times what the projections gave
     */
    boolean launch(
            long dx,
            long dweight,
            long normed,
            long x,
            long rstd,
            long scale,
            long packed,
            int rows,
            int inner,
            int width,
            long weights,
            long dots,
            int dotCount,
            boolean accumulate) {
        if (!context.device.isHopper()
                || !hasWidth(width)
                || rows < 1
                || inner < 8
                || inner % 8 != 0
                || (dx | normed | x | scale | packed | weights) % 16 != 0) {
            return false;
        }
        int tiles = width / COLUMNS;
        int rowTiles = Math.ceilDiv(rows, TILE_ROWS);
        long partials = scratch(4L * FINISHERS * rowTiles * width);
        int blocks = Math.min(context.device.multiprocessors, rowTiles * tiles);
        Kernels launch = kernel("hopperNormGradient" + tiles)
                .words(context.tensorMaps.of(new Boxes(packed, rows, inner, TILE_ROWS)))
                .words(context.tensorMaps.of(new Boxes(weights, inner, width, DEPTH)))
                .pointer(dx)
                .pointer(normed)
                .pointer(x)
                .pointer(rstd)
                .pointer(scale)
                .pointer(partials)
                .pointer(dots)
                .wide(rows)
                .wide(inner)
                .wide(accumulate ? 1 : 0)
                .wide(dotCount);
        context.kernels.operand(
                2 * ((double) inner * ((double) rows + width) + (normed == 0 ? 3.0 : 4.0) * rows * width));
        context.kernels.multiplies(2.0 * rows * inner * width);
        launch.launch(blocks, 1, 1, THREADS, 1, SHARED_BYTES);
        kernel("narrowAddPartials")
                .pointer(dweight)
                .pointer(partials)
                .integer(FINISHERS * rowTiles)
                .integer(width)
                .launch(width / RowKernels.PARTIAL_COLUMNS, 1, 1, 1024, 1, 0);
        return true;
    }
}
