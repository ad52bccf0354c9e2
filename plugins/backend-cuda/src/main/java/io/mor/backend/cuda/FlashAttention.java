package io.mor.backend.cuda;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.Set;

/**
 * Attention on tensor cores, forward and backward, for activations in bfloat16 and heads of 32, 64 or 128 elements; on Hopper with kernels of
 * its own for heads of 64. Scores, softmax and sums are in single precision. The method is that of FlashAttention (Dao et al., 2022).
 */
final class FlashAttention extends KernelFamily {

    private static final Set<Integer> WIDTHS = Set.of(32, 64, 128);
    private static final int ROW_TILE = AttentionPlans.ROW_TILE; // rows that a warpgroup owns
    private static final int BLOCK_ROWS = 128; // rows that a block owns where every card is served
    private static final int THREADS = 256;
    private static final int FORWARD_KEYS = 64; // of a turn
    private static final int STATISTICS_THREADS = 256;
    private static final int MOST_DECODED_ROWS = 256; // more than that come from prompts
    private static final int DECODE_CHUNK = 256; // entries
    private static final int DECODE_HEADS = 4; // of one key head, together
    private static final int DECODE_THREADS = 128;
    private final AttentionPlans plans;
    private final RotationAngles angles;
    private final OnePassGradient onePass;
    private DeviceMemory.Block working; // not scratch, where a caller may have put what it wants to be written

    /** How the Hopper kernels are cut; the numbers at the end of flash_hopper.cu. */
    private static final class Hopper {
        static final int WIDTH = 64;
        static final int GROUPS = 3; // warpgroups that calculate
        static final int FORWARD_STAGES = 2;
        static final int EXACT_FORWARD_STAGES = 3;
        static final int FORWARD_KEYS = 128;
        static final int GRADIENT_STAGES = 4;
        static final int TILE_BYTES = ROW_TILE * WIDTH * 2;
        static final int QUERY_ROWS_BYTES = 1040; // of the kernels' QueryRows

        private Hopper() {}

        static int threads() {
            return 128 * (GROUPS + 1);
        }

        static int forwardBytes(int stages) {
            return 2 * GROUPS * TILE_BYTES + 2 * stages * FORWARD_KEYS * WIDTH * 2 + barriers(2 + 2 * stages);
        }

        static int barriers(int places) {
            return 16 * places;
        }
    }

    /** A call of the gradients' kernels: what it sees, and where what is derived from its results lies. */
    record Call(
            AttentionRanges ranges, AttentionShape shape, AttentionPlans.Plan plan, long statistics, long products) {}

    /** Rows that a kernel writes: the first element's address, elements from row to row, and bytes in all. */
    record Rows(long address, int pitch, double bytes) {}

    /** Where gradients go, and, unless 0, the angles that those of queries and keys are rotated back by. */
    record Gradients(Rows queries, Rows keys, Rows values, long angles, long dots) {}

    /** What makes the gradient that arrives at an attention's result, if that is not there before. */
    @FunctionalInterface
    interface OutputGradient {

        /**
         * Makes it.
         *
         * @param statistics {@code float [heads, paddedRows]}, which may be written with it, as the kernels flashStatistics write it
         * @param products the same
         * @return whether these have been written
         */
        boolean make(long statistics, long products, int paddedRows);
    }

    FlashAttention(CudaContext context) {
        super(context);
        this.working = context.memory.allocate(1 << 20, "working memory of attention");
        this.plans = new AttentionPlans(context);
        this.angles = new RotationAngles(context);
        this.onePass = new OnePassGradient(context);
    }

    /** Whether these kernels can do it; gradients only without a table. */
    boolean takes(AttentionShape shape, Tensor... activations) {
        return WIDTHS.contains(shape.headDim()) && areVectors(activations);
    }

    /** Whether {@link #backwardPacked} can do heads of a width on this card. */
    boolean canPack(int headDim) {
        return headDim == Hopper.WIDTH && context.device.isHopper();
    }

    private boolean onHopper(AttentionShape shape) {
        return canPack(shape.headDim());
    }

    void forward(
            Tensor out,
            Tensor logSumExp,
            Tensor queries,
            Tensor keys,
            Tensor values,
            AttentionRanges ranges,
            AttentionShape shape) {
        if (ranges.entryRows().isPresent() && queries.rows() <= MOST_DECODED_ROWS) {
            decode(out, logSumExp, queries, keys, values, ranges, shape);
            return;
        }
        if (ranges.entryRows().isEmpty() && onHopper(shape)) {
            AttentionPlans.Plan plan = plans.of(queries, keys, ranges, shape, Hopper.GROUPS);
            if (queries.extent().isExact() && keys.extent().isExact() && queries.rows() > 0 && keys.rows() > 0) {
                forwardOfExact(plan, out, logSumExp, queries, keys, values, shape);
                return;
            }
            Kernels launch = kernel("flashHopperForward");
            forwardTensors(launch, out, logSumExp, queries, keys, values)
                    .pointer(plan.ranges())
                    .pointer(plan.bounds())
                    .pointer(plan.queryItems())
                    .integer(plan.queryItemCount());
            counts(launch, queries, keys)
                    .integer(plan.paddedRows())
                    .integer(shape.heads())
                    .integer(shape.kvHeads())
                    .real(scale(shape))
                    .launch(
                            blocks(plan.queryItemCount(), shape),
                            1,
                            1,
                            Hopper.threads(),
                            1,
                            Hopper.forwardBytes(Hopper.FORWARD_STAGES));
            return;
        }
        Kernels launch = kernel("flashForward" + shape.headDim());
        forwardTensors(launch, out, logSumExp, queries, keys, values)
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .pointer(address(ranges.entryRows()));
        counts(launch, queries, keys)
                .integer(shape.heads())
                .integer(shape.kvHeads())
                .real(scale(shape))
                .launch(
                        AttentionPlans.blocksOfRows(queries.rows()),
                        shape.heads(),
                        1,
                        THREADS,
                        1,
                        (BLOCK_ROWS + 4 * FORWARD_KEYS) * shape.headDim() * 2);
    }

    /** By the copy engine, which brings whole tiles: what lies behind a counted extent could be anything. */
    private void forwardOfExact(
            AttentionPlans.Plan plan,
            Tensor out,
            Tensor logSumExp,
            Tensor queries,
            Tensor keys,
            Tensor values,
            AttentionShape shape) {
        kernel("flashHopperForwardOfExact")
                .words(boxes(queries, ROW_TILE))
                .words(boxes(keys, Hopper.FORWARD_KEYS))
                .words(boxes(values, Hopper.FORWARD_KEYS))
                .pointer(targetBytes(out))
                .wide(out.columns())
                .pointer(targetBytes(logSumExp))
                .pointer(plan.ranges())
                .pointer(plan.bounds())
                .pointer(plan.queryItems())
                .wide(plan.queryItemCount())
                .wide(queries.rows())
                .wide(plan.paddedRows())
                .wide(shape.heads())
                .wide(shape.kvHeads())
                .real(scale(shape))
                .launch(
                        blocks(plan.queryItemCount(), shape),
                        1,
                        1,
                        Hopper.threads(),
                        1,
                        Hopper.forwardBytes(Hopper.EXACT_FORWARD_STAGES));
    }

    private long[] boxes(Tensor tensor, int boxRows) {
        return context.tensorMaps.of(new TensorMaps.Boxes(bytes(tensor), tensor.rows(), tensor.columns(), boxRows));
    }

    /** A few rows, each cut into chunks of its range that blocks of their own read; then the chunks are joined. */
    private void decode(
            Tensor out,
            Tensor logSumExp,
            Tensor queries,
            Tensor keys,
            Tensor values,
            AttentionRanges ranges,
            AttentionShape shape) {
        int chunks = Math.max(1, Math.ceilDiv(ranges.longest(), DECODE_CHUNK));
        long parts = scratch(4L * queries.rows() * shape.heads() * chunks * (shape.headDim() + 2));
        int sharing = shape.heads() / shape.kvHeads();
        kernel("flashDecode" + shape.headDim())
                .pointer(parts)
                .integer(chunks)
                .pointer(bytes(queries))
                .integer(queries.columns())
                .pointer(bytes(keys))
                .integer(keys.columns())
                .pointer(bytes(values))
                .integer(values.columns())
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .pointer(address(ranges.entryRows()))
                .integer(queries.rows())
                .pointer(count(queries.extent()))
                .integer(shape.heads())
                .integer(shape.kvHeads())
                .real(scale(shape))
                .launch(
                        queries.rows(),
                        shape.kvHeads() * Math.ceilDiv(sharing, DECODE_HEADS),
                        chunks,
                        DECODE_THREADS,
                        1,
                        0);
        written(kernel("flashDecodeJoin" + shape.headDim()), out)
                .pointer(targetBytes(logSumExp))
                .pointer(parts)
                .integer(chunks)
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .integer(queries.rows())
                .pointer(count(queries.extent()))
                .integer(shape.heads())
                .launch(queries.rows(), 1, 1, THREADS, 1, 0);
    }

    private Kernels forwardTensors(
            Kernels launch, Tensor out, Tensor logSumExp, Tensor queries, Tensor keys, Tensor values) {
        return written(launch, out)
                .pointer(targetBytes(logSumExp))
                .pointer(bytes(queries))
                .integer(queries.columns())
                .pointer(bytes(keys))
                .integer(keys.columns())
                .pointer(bytes(values))
                .integer(values.columns());
    }

    void backward(
            Tensor dqueries,
            Tensor dkeys,
            Tensor dvalues,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            AttentionRanges ranges,
            AttentionShape shape,
            boolean accumulate) {
        gradients(
                new Gradients(rows(dqueries), rows(dkeys), rows(dvalues), 0, 0),
                queries,
                keys,
                values,
                out,
                logSumExp,
                dout,
                (statistics, products, paddedRows) -> false,
                ranges,
                shape,
                accumulate);
    }

    /**
     * Gradients of the queries, keys and values before their rotary embedding, side by side in bfloat16: columns of all query heads, of all
     * key heads, of all value heads. Rounded once.
     *
     * @param packed address of rows of {@code pitch} elements; may be scratch memory
     * @param dout what arrives at the result, when {@code arrives} is done
     * @param positions of every row, of queries and keys alike
     * @param frequencies address of {@code headDim / 2} doubles, as {@link ProjectionKernels} makes them
     * @param dots {@code float [heads + kvHeads, rows]}, written: of each row the sum over a query head of queries times their gradients, and over a
     *     key head of keys and values times theirs; or 0
     * @return false if these cannot be calculated so, and then nothing was done
     */
    boolean backwardPacked(
            long packed,
            int pitch,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            OutputGradient arrives,
            AttentionRanges ranges,
            AttentionShape shape,
            IntTensor positions,
            long frequencies,
            long dots) {
        int width = shape.queryWidth() + 2 * shape.kvWidth();
        boolean can = onHopper(shape)
                && takes(shape, queries, keys, values, out, dout)
                && ranges.entryRows().isEmpty()
                && queries.rows() > 0
                && queries.rows() == keys.rows()
                && queries.extent().isExact()
                && keys.extent().isExact()
                && packed % 16 == 0
                && pitch % 8 == 0
                && pitch >= width;
        if (can) {
            long keyColumn = packed + 2L * shape.queryWidth();
            long valueColumn = keyColumn + 2L * shape.kvWidth();
            double keyBytes = 2.0 * keys.rows() * shape.kvWidth();
            gradients(
                    new Gradients(
                            new Rows(packed, pitch, 2.0 * queries.rows() * shape.queryWidth()),
                            new Rows(keyColumn, pitch, keyBytes),
                            new Rows(valueColumn, pitch, keyBytes),
                            angles.of(positions, queries.rows(), shape.headDim() / 2, frequencies),
                            dots),
                    queries,
                    keys,
                    values,
                    out,
                    logSumExp,
                    dout,
                    arrives,
                    ranges,
                    shape,
                    false);
        }
        return can;
    }

    private void gradients(
            Gradients gradients,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            OutputGradient arrives,
            AttentionRanges ranges,
            AttentionShape shape,
            boolean accumulate) {
        boolean hopper = onHopper(shape);
        AttentionPlans.Plan plan = plans.of(queries, keys, ranges, shape, hopper ? Hopper.GROUPS : 0);
        long statisticBytes = 4L * plan.paddedRows() * shape.heads(); // rows are padded to whole vectors
        long statistics = working(2 * statisticBytes);
        Call call = new Call(ranges, shape, plan, statistics, statistics + statisticBytes);
        if (!arrives.make(call.statistics, call.products, plan.paddedRows())) {
            statistics(call, queries, out, logSumExp, dout);
        }
        if (hopper && onePass.takes(queries, keys, ranges, shape, plan.paddedRows())) {
            onePass.launch(call, gradients, queries, keys, values, dout, accumulate);
            return;
        }
        queryGradient(hopper, call, gradients, queries, keys, values, dout);
        if (keys.rows() > 0) {
            keyGradient(hopper, call, gradients, queries, keys, values, dout, accumulate);
        }
    }

    private void statistics(Call call, Tensor queries, Tensor out, Tensor logSumExp, Tensor dout) {
        AttentionShape shape = call.shape;
        AttentionPlans.Plan plan = call.plan;
        long statisticThreads = (long) plan.paddedRows() * shape.heads() * (shape.headDim() / 8);
        kernel("flashStatistics" + shape.headDim())
                .pointer(call.statistics)
                .pointer(call.products)
                .pointer(bytes(out))
                .integer(out.columns())
                .pointer(bytes(dout))
                .integer(dout.columns())
                .pointer(bytes(logSumExp))
                .integer(queries.rows())
                .pointer(count(queries.extent()))
                .integer(plan.paddedRows())
                .integer(shape.heads())
                .launch(
                        Math.toIntExact((statisticThreads + STATISTICS_THREADS - 1) / STATISTICS_THREADS),
                        1,
                        1,
                        STATISTICS_THREADS,
                        1,
                        0);
    }

    private void queryGradient(
            boolean hopper, Call call, Gradients gradients, Tensor queries, Tensor keys, Tensor values, Tensor dout) {
        AttentionShape shape = call.shape;
        AttentionPlans.Plan plan = call.plan;
        Kernels launch = kernel(hopper ? "flashHopperQueryGradient" : "flashQueryGradient" + shape.headDim());
        gradientInputs(written(launch, gradients.queries), call, queries, keys, values, dout);
        if (hopper) {
            launch.pointer(plan.ranges())
                    .pointer(plan.bounds())
                    .pointer(plan.queryItems())
                    .integer(plan.queryItemCount());
        } else {
            launch.pointer(address(call.ranges.start())).pointer(address(call.ranges.end()));
        }
        counts(launch, queries, keys)
                .integer(plan.paddedRows())
                .integer(shape.heads())
                .integer(shape.kvHeads())
                .real(scale(shape));
        if (hopper) {
            launch.pointer(gradients.angles).pointer(gradients.dots);
            launch.launch(
                    blocks(plan.queryItemCount(), shape),
                    1,
                    1,
                    Hopper.threads(),
                    1,
                    (4 * Hopper.GROUPS + 2 * Hopper.GRADIENT_STAGES) * Hopper.TILE_BYTES
                            + Hopper.barriers(2 + Hopper.GRADIENT_STAGES));
        } else {
            launch.launch(
                    AttentionPlans.blocksOfRows(queries.rows()), shape.heads(), 1, THREADS, 1, gradientBytes(shape));
        }
    }

    private void keyGradient(
            boolean hopper,
            Call call,
            Gradients gradients,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor dout,
            boolean accumulate) {
        AttentionShape shape = call.shape;
        AttentionPlans.Plan plan = call.plan;
        Kernels launch = kernel(hopper ? "flashHopperKeyGradient" : "flashKeyGradient" + shape.headDim());
        gradientInputs(written(written(launch, gradients.keys), gradients.values), call, queries, keys, values, dout)
                .pointer(plan.ranges())
                .pointer(plan.bounds());
        if (hopper) {
            launch.pointer(plan.keyItems()).integer(plan.keyItemCount());
        }
        counts(launch, queries, keys)
                .integer(plan.paddedRows())
                .integer(shape.heads())
                .integer(shape.kvHeads())
                .real(scale(shape))
                .flag(accumulate);
        if (hopper) {
            launch.pointer(gradients.angles).pointer(gradients.dots);
            launch.launch(
                    blocks(plan.keyItemCount(), shape),
                    1,
                    1,
                    Hopper.threads(),
                    1,
                    (4 * Hopper.GROUPS + 2 * Hopper.GRADIENT_STAGES) * Hopper.TILE_BYTES
                            + Hopper.GRADIENT_STAGES * Hopper.QUERY_ROWS_BYTES
                            + Hopper.barriers(2 + Hopper.GRADIENT_STAGES));
        } else {
            launch.launch(
                    AttentionPlans.blocksOfRows(keys.rows()), shape.kvHeads(), 1, THREADS, 1, gradientBytes(shape));
        }
    }

    private Kernels gradientInputs(Kernels launch, Call call, Tensor queries, Tensor keys, Tensor values, Tensor dout) {
        return launch.pointer(bytes(queries))
                .integer(queries.columns())
                .pointer(bytes(keys))
                .integer(keys.columns())
                .pointer(bytes(values))
                .integer(values.columns())
                .pointer(bytes(dout))
                .integer(dout.columns())
                .pointer(call.statistics)
                .pointer(call.products);
    }

    private Kernels written(Kernels launch, Tensor tensor) {
        return written(launch, rows(tensor));
    }

    private Kernels written(Kernels launch, Rows rows) {
        context.kernels.operand(rows.bytes);
        return launch.pointer(rows.address).integer(rows.pitch);
    }

    private Rows rows(Tensor tensor) {
        CudaTensor written = context.of(tensor);
        written.lifetime.written();
        return new Rows(written.address, written.columns(), (double) written.size() * written.elementBytes());
    }

    private Kernels counts(Kernels launch, Tensor queries, Tensor keys) {
        return launch.integer(queries.rows())
                .pointer(count(queries.extent()))
                .integer(keys.rows())
                .pointer(count(keys.extent()));
    }

    private static double scale(AttentionShape shape) {
        return 1 / Math.sqrt(shape.headDim());
    }

    /** Blocks that stay on their multiprocessors and share the items of all key heads. */
    private int blocks(int items, AttentionShape shape) {
        return (int) Math.min(context.device.multiprocessors, (long) items * shape.kvHeads());
    }

    private static int gradientBytes(AttentionShape shape) {
        int rows = shape.headDim() == 128 ? 32 : 64; // a turn's
        return (2 * BLOCK_ROWS + 4 * rows) * shape.headDim() * 2;
    }

    private long working(long bytes) {
        if (working.bytes() < bytes) {
            DeviceMemory.Block larger = context.memory.allocate(bytes, "working memory of attention");
            context.memory.release(working);
            working = larger;
        }
        return working.address();
    }
}
