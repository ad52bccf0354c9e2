package io.mor.backend.cuda;

import io.mor.backend.cuda.TensorMaps.Boxes;
import java.util.Optional;

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
    private static final int FINISHERS = 8;
    private static final int THREADS = 640;
    private static final int SHARED_BYTES =
            STAGES * 2 * DEPTH * (TILE_ROWS + COLUMNS) + TILE_ROWS * (2 * COLUMNS + 16) + 16 * STAGES + 16;

    private Optional<DeviceMemory.Block> sums = Optional.empty(); // which every pass leaves at zero

    HopperNormGradient(CudaContext context) {
        super(context);
    }

    /** Whether there is a kernel for a width. */
    static boolean hasWidth(int width) {
        return width == 3 * COLUMNS || width == 5 * COLUMNS;
    }

    /**
     * The gradient, of matrices in bfloat16 without gaps; false, and nothing is done, on another card, for few rows, for sizes that it is not made
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
            boolean accumulate) {
        return rows >= LEAST_ROWS
                && launchAnyRows(dx, dweight, normed, x, rstd, scale, packed, rows, inner, width, weights, accumulate);
    }

    /** As {@link #launch}, however few rows there are. */
    boolean launchAnyRows(
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
            boolean accumulate) {
        if (context.device.major != 9
                || context.device.minor != 0
                || !hasWidth(width)
                || rows < 1
                || inner < 8
                || inner % 8 != 0
                || (dx | normed | x | scale | packed | weights) % 16 != 0) {
            return false;
        }
        int partners = width / COLUMNS;
        int rowTiles = Math.ceilDiv(rows, TILE_ROWS);
        int words = rowTiles * partners * TILE_ROWS;
        long partials = scratch(4L * FINISHERS * rowTiles * width);
        long sumsAt = sums(8L * words);
        context.kernels.operand(
                2 * ((double) inner * ((double) rows + width) + (normed == 0 ? 3.0 : 4.0) * rows * width));
        context.kernels.multiplies(2.0 * rows * inner * width);
        // all blocks wait for their partners, so all must be on the card at once
        int blocks = Math.min(context.device.multiprocessors / partners, rowTiles) * partners;
        kernel("hopperNormGradient" + partners)
                .words(context.tensorMaps.of(new Boxes(packed, rows, inner, TILE_ROWS)))
                .words(context.tensorMaps.of(new Boxes(weights, inner, width, DEPTH)))
                .pointer(dx)
                .pointer(normed)
                .pointer(x)
                .pointer(rstd)
                .pointer(scale)
                .pointer(partials)
                .pointer(sumsAt)
                .wide(rows)
                .wide(inner)
                .wide(accumulate ? 1 : 0)
                .launch(blocks, 1, 1, THREADS, 1, SHARED_BYTES);
        kernel("normWeightGradient")
                .pointer(dweight)
                .pointer(partials)
                .integer(FINISHERS * rowTiles)
                .integer(width)
                .pointer(sumsAt)
                .integer(words)
                .launch(Math.ceilDiv(width, 32), 1, 1, 32, 32, 0);
        return true;
    }

    private long sums(long bytes) {
        if (sums.isEmpty() || sums.get().bytes() < bytes) {
            sums.ifPresent(context.memory::release);
            DeviceMemory.Block block = context.memory.allocate(bytes, "sums of rows of norms' gradients");
            kernel("fillVectors")
                    .pointer(block.address())
                    .wide(bytes / 16)
                    .real(0)
                    .flag(false)
                    .overElements(bytes / 16);
            sums = Optional.of(block);
        }
        return sums.get().address();
    }
}
