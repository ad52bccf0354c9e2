package io.mor.backend.cuda;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Tensor;
import io.mor.backend.cuda.TensorMaps.Boxes;
import java.util.List;

/**
 * The gradients of attention in one kernel on Hopper, for heads of 64: five products instead of the seven of two kernels. Blocks own keys; the
 * gradients of queries are added up in device memory, in an order that the plan of a batch decides.
 */
final class OnePassGradient extends KernelFamily {

    /** Where no row sees more, blocks wait for each other too often: 16 sequences of 682 took 0.99 to 1.05 of the two kernels' time, of 1365 0.86. */
    private static final int LEAST_RANGE = 1024;

    private static final long MOST_SUM_BYTES = 1L << 29; // more than that go through two kernels
    private static final long MOST_SHARE_BYTES = 1L << 26;
    private static final int KEPT = 16;
    private static final int HEAD = 64;
    private static final int ROW_TILE = AttentionPlans.ROW_TILE;
    private static final int KEY_ITEM = 192; // keys of a block at a time, as in flash_gradient_hopper.cu
    private static final int THREADS = 512;
    private static final int PLAN_THREADS = 1024;
    /** Keys and values twice, four stages of queries and output gradients, the scores' gradients twice; what lies beside them; barriers. */
    private static final int SHARED_BYTES = (6 * 3 + 2 * 4) * ROW_TILE * HEAD * 2 + 4 * 1040 + 2 * 36 + 16 * 8 + 8;

    private final DerivedMemory<Size> plans;
    private DeviceMemory.Block sums;
    private DeviceMemory.Block counts; // zeros between launches: items taken, blocks done, what was added to each tile

    /** What decides the size of a plan. */
    private record Size(int rows, int keyRows, int tiles) {

        /** Items that keys may be cut into: of three neighbours two have {@link #KEY_ITEM} keys together. */
        int mostItems() {
            return 3 * Math.ceilDiv(keyRows, KEY_ITEM) + 3;
        }

        long shareBytes() {
            return 4L * tiles * mostItems();
        }
    }

    /** Where the parts of a plan are; what the kernel that makes it needs besides comes last. */
    private record Plan(
            long items,
            long tileItems,
            long shares,
            long itemCount,
            long inside,
            long starts,
            long keyItems,
            long end) {

        static Plan at(long address, Size size) {
            long tileItems = address + 32L * size.mostItems();
            long shares = tileItems + 8L * size.tiles;
            long itemCount = shares + size.shareBytes();
            long inside = itemCount + 4;
            long starts = inside + 4L * (size.keyRows + 1);
            long keyItems = starts + 4L * (size.keyRows / 32 + 1);
            return new Plan(
                    address, tileItems, shares, itemCount, inside, starts, keyItems, keyItems + 16L * size.mostItems());
        }
    }

    OnePassGradient(CudaContext context) {
        super(context);
        this.plans = new DerivedMemory<>(context, KEPT, "plan of an attention's gradients");
        this.sums = context.memory.allocate(16, "sums of attention's gradients");
        this.counts = context.memory.allocate(16, "counts of attention's gradients");
        context.transfers.write(counts.address(), new int[Math.toIntExact(counts.bytes() / 4)]);
    }

    /** Whether this is the faster way, on Hopper and with heads of 64, which the caller knows. */
    boolean takes(Tensor queries, Tensor keys, AttentionRanges ranges, AttentionShape shape, int paddedRows) {
        return ranges.longest() >= LEAST_RANGE
                && queries.rows() > 0
                && keys.rows() > 0
                && queries.extent().isExact()
                && keys.extent().isExact()
                && sumBytes(shape, paddedRows) <= MOST_SUM_BYTES
                && new Size(queries.rows(), keys.rows(), paddedRows / ROW_TILE).shareBytes() <= MOST_SHARE_BYTES;
    }

    void launch(
            FlashAttention.Call call,
            FlashAttention.Gradients gradients,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor dout,
            boolean accumulate) {
        AttentionShape shape = call.shape();
        int paddedRows = call.plan().paddedRows();
        Size size = new Size(queries.rows(), keys.rows(), paddedRows / ROW_TILE);
        AttentionRanges ranges = call.ranges();
        Plan plan = Plan.at(
                plans.of(
                        size,
                        List.of(ranges.start(), ranges.end()),
                        Plan.at(0, size).end,
                        at -> make(Plan.at(at, size), size, ranges, call.plan())),
                size);
        long zeros = zeros(4 + size.tiles * shape.kvHeads());
        long sumAddress = sums(sumBytes(shape, paddedRows));
        Kernels launch = kernel("flashHopperGradient")
                .words(map(queries, ROW_TILE))
                .words(map(keys, KEY_ITEM))
                .words(map(values, KEY_ITEM))
                .words(map(dout, ROW_TILE));
        for (FlashAttention.Rows rows : List.of(gradients.queries(), gradients.keys(), gradients.values())) {
            context.kernels.operand(rows.bytes());
            launch.pointer(rows.address()).wide(rows.pitch());
        }
        launch.pointer(call.statistics())
                .pointer(call.products())
                .pointer(call.plan().ranges())
                .pointer(call.plan().bounds())
                .pointer(plan.items)
                .pointer(plan.itemCount)
                .pointer(plan.shares)
                .wide(size.mostItems())
                .pointer(sumAddress)
                .pointer(zeros + 16)
                .pointer(zeros)
                .wide(queries.rows())
                .wide(keys.rows())
                .wide(paddedRows)
                .wide(shape.heads())
                .wide(shape.kvHeads())
                .real(1 / Math.sqrt(HEAD))
                .flag(accumulate)
                .pointer(gradients.angles())
                .pointer(bytes(queries))
                .pointer(bytes(keys))
                .pointer(bytes(values))
                .pointer(gradients.dots())
                .launch(context.device.multiprocessors, 1, 1, THREADS, 1, SHARED_BYTES);
    }

    private void make(Plan plan, Size size, AttentionRanges ranges, AttentionPlans.Plan of) {
        kernel("flashKeyPlan")
                .pointer(plan.items)
                .pointer(plan.itemCount)
                .pointer(plan.shares)
                .integer(size.mostItems())
                .pointer(plan.inside)
                .pointer(plan.starts)
                .pointer(plan.keyItems)
                .pointer(plan.tileItems)
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .pointer(of.bounds())
                .integer(size.rows)
                .integer(size.keyRows)
                .integer(size.tiles)
                .launch(1, 1, 1, PLAN_THREADS, 1, 0);
    }

    private long[] map(Tensor tensor, int boxRows) {
        return context.tensorMaps.of(new Boxes(bytes(tensor), tensor.rows(), tensor.columns(), boxRows));
    }

    private static long sumBytes(AttentionShape shape, int paddedRows) {
        return 4L * paddedRows * shape.queryWidth();
    }

    private long sums(long bytes) {
        if (sums.bytes() < bytes) {
            DeviceMemory.Block larger = context.memory.allocate(bytes, "sums of attention's gradients");
            context.memory.release(sums);
            sums = larger;
        }
        return sums.address();
    }

    /** So many numbers that are zero and that launches leave at zero. */
    private long zeros(int numbers) {
        if (counts.bytes() < 4L * numbers) {
            DeviceMemory.Block larger = context.memory.allocate(4L * numbers, "counts of attention's gradients");
            context.memory.release(counts);
            counts = larger;
            kernel("fillInts")
                    .pointer(counts.address())
                    .wide(counts.bytes() / 4) // of the whole block, which may have more than was asked for
                    .integer(0)
                    .overElements(counts.bytes() / 4);
        }
        return counts.address();
    }
}
