package io.mor.backend.cuda;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * What the attention kernels derive from a call's ranges: bounds for tiles of rows, and on Hopper lists of work. A plan is made once for all
 * layers that see the same.
 */
final class AttentionPlans extends KernelFamily {

    static final int ROW_TILE = 64; // query rows that bounds are kept for
    private static final int BLOCK_ROWS = 128; // rows are padded to these
    private static final int KEPT = 16;
    private static final int THREADS = 256;
    private static final int PLAN_THREADS = 1024;

    private final DerivedMemory<Cut> plans;
    private final DeviceMemory.Block blocksDone; // a counter that the planning kernel leaves at zero

    /**
     * Sizes.
     *
     * @param sharing query heads that share a key head
     * @param groups units of {@link #ROW_TILE} rows that an item of the lists has, 0 without lists
     */
    private record Cut(int rows, int keyRows, int sharing, int groups) {}

    /** A plan on the device. */
    record Plan(
            int paddedRows,
            long ranges,
            long bounds,
            long queryItems,
            int queryItemCount,
            long keyItems,
            int keyItemCount) {

        /** Where its parts are if it lies at an address. */
        private static Plan at(long address, Cut cut) {
            int padded = blocksOfRows(cut.rows) * BLOCK_ROWS;
            boolean lists = cut.groups > 0;
            int queryItemCount = lists ? Math.ceilDiv(padded / ROW_TILE * cut.sharing, cut.groups) : 0;
            int keyItemCount = lists ? Math.ceilDiv(cut.keyRows, cut.groups * ROW_TILE) : 0;
            long bounds = address + 8L * padded;
            long queryItems = bounds + 16L * (padded / ROW_TILE);
            long keyItems = queryItems + 16L * queryItemCount;
            return new Plan(padded, address, bounds, queryItems, queryItemCount, keyItems, keyItemCount);
        }

        private int tiles() {
            return paddedRows / ROW_TILE;
        }

        /** A first tile for each item of keys, and behind these a last one. */
        private long lowTiles() {
            return keyItems + 16L * keyItemCount;
        }

        private long highTiles() {
            return lowTiles() + 4L * keyItemCount;
        }

        private long end() {
            return highTiles() + 4L * keyItemCount;
        }
    }

    AttentionPlans(CudaContext context) {
        super(context);
        this.plans = new DerivedMemory<>(context, KEPT, "plan of an attention");
        this.blocksDone = context.memory.allocate(4, "counter of attention's plans");
        context.transfers.write(blocksDone.address(), new int[1]);
    }

    static int blocksOfRows(int rows) {
        return Math.ceilDiv(rows, BLOCK_ROWS);
    }

    /**
     * The plan of a call without a table.
     *
     * @param groups units of {@link #ROW_TILE} rows that an item of the lists of work has, 0 without lists
     */
    Plan of(Tensor queries, Tensor keys, AttentionRanges ranges, AttentionShape shape, int groups) {
        Cut cut = new Cut(queries.rows(), keys.rows(), shape.heads() / shape.kvHeads(), groups);
        List<IntTensor> sources = new ArrayList<>(List.of(ranges.start(), ranges.end()));
        queries.extent().count().ifPresent(sources::add);
        long address = plans.of(
                cut, sources, Plan.at(0, cut).end(), at -> make(Plan.at(at, cut), cut, ranges, queries.extent()));
        return Plan.at(address, cut);
    }

    private void make(Plan plan, Cut cut, AttentionRanges ranges, Extent rows) {
        boolean lists = cut.groups > 0;
        Kernels launch =
                kernel(lists ? "flashPlan" : "flashRanges").pointer(plan.ranges).pointer(plan.bounds);
        if (lists) {
            launch.pointer(plan.queryItems)
                    .integer(plan.queryItemCount)
                    .pointer(plan.keyItems)
                    .integer(plan.keyItemCount)
                    .pointer(plan.lowTiles())
                    .pointer(plan.highTiles())
                    .pointer(blocksDone.address());
        }
        launch.pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .integer(rows.bound())
                .pointer(count(rows))
                .integer(plan.paddedRows);
        if (lists) {
            int blocks = Math.min(context.device.multiprocessors, Math.ceilDiv(plan.tiles(), PLAN_THREADS / 32));
            launch.integer(cut.sharing)
                    .integer(cut.groups)
                    .integer(cut.groups * ROW_TILE)
                    .launch(blocks, 1, 1, PLAN_THREADS, 1, 0);
        } else {
            launch.launch((plan.tiles() + 7) / 8, 1, 1, THREADS, 1, 0);
        }
    }
}
