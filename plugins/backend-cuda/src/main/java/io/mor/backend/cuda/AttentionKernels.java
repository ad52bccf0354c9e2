package io.mor.backend.cuda;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;

/** Attention over ranges of entries. */
final class AttentionKernels extends KernelFamily {

    private static final int ATTENTION_TILE = 128; // entries that a block of the attention kernels takes at a time
    private final FlashAttention flash;

    AttentionKernels(CudaContext context) {
        super(context);
        this.flash = new FlashAttention(context);
    }

    void attention(
            Tensor out,
            Tensor logSumExp,
            Tensor queries,
            Tensor keys,
            Tensor values,
            AttentionRanges ranges,
            AttentionShape shape) {
        if (queries.rows() == 0) {
            return;
        }
        if (flash.takes(shape, out, queries, keys, values)) {
            flash.forward(out, logSumExp, queries, keys, values, ranges, shape);
            return;
        }
        kernel("attention")
                .pointer(target(out))
                .pointer(target(logSumExp))
                .pointer(address(queries))
                .pointer(address(keys))
                .pointer(address(values))
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .pointer(address(ranges.entryRows()))
                .integer(queries.rows())
                .pointer(count(queries.extent()))
                .integer(shape.heads())
                .integer(shape.kvHeads())
                .integer(shape.headDim())
                .real(1 / Math.sqrt(shape.headDim()))
                .launch(queries.rows(), shape.heads(), 1, ATTENTION_TILE, 1, 4 * shape.headDim() * (1 + groups(shape)));
    }

    /** Groups of threads that share a tile's entries, as the kernels count them. */
    private static int groups(AttentionShape shape) {
        return Math.max(1, ATTENTION_TILE / shape.headDim());
    }

    /** Whether {@link #attentionBackward} need not add to the gradients of keys and values. */
    boolean canSetGradients(AttentionShape shape, Tensor dqueries, Tensor... others) {
        return dqueries.rows() > 0 && flash.takes(shape, dqueries) && flash.takes(shape, others);
    }

    void attentionBackward(
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
        if (queries.rows() == 0) {
            return;
        }
        if (flash.takes(shape, dqueries, dkeys, dvalues, queries, keys, values, out, dout)) {
            flash.backward(
                    dqueries, dkeys, dvalues, queries, keys, values, out, logSumExp, dout, ranges, shape, accumulate);
            return;
        }
        int tiles = (queries.rows() + ATTENTION_TILE - 1) / ATTENTION_TILE;
        long boundsBytes = 8L * tiles;
        long bounds = scratch(boundsBytes + 4L * queries.rows() * shape.heads());
        long outDotGradient = bounds + boundsBytes; // [rows, heads]
        double scale = 1 / Math.sqrt(shape.headDim());
        kernel("attentionQueryGradient")
                .pointer(target(dqueries))
                .pointer(outDotGradient)
                .pointer(address(queries))
                .pointer(address(keys))
                .pointer(address(values))
                .pointer(target(out))
                .pointer(target(logSumExp))
                .pointer(address(dout))
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .integer(queries.rows())
                .pointer(count(queries.extent()))
                .integer(shape.heads())
                .integer(shape.kvHeads())
                .integer(shape.headDim())
                .real(scale)
                .launch(queries.rows(), shape.heads(), 1, ATTENTION_TILE, 1, 4 * shape.headDim() * (2 + groups(shape)));
        if (keys.rows() == 0) {
            return;
        }
        kernel("rangeBounds")
                .pointer(bounds)
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .integer(queries.rows())
                .pointer(count(queries.extent()))
                .launch(tiles, 1, 1, ATTENTION_TILE, 1, 0);
        kernel("attentionKeyGradient")
                .pointer(target(dkeys))
                .pointer(target(dvalues))
                .pointer(address(queries))
                .pointer(address(keys))
                .pointer(address(values))
                .pointer(target(logSumExp))
                .pointer(outDotGradient)
                .pointer(address(dout))
                .pointer(address(ranges.start()))
                .pointer(address(ranges.end()))
                .pointer(bounds)
                .integer(queries.rows())
                .pointer(count(queries.extent()))
                .integer(keys.rows())
                .pointer(count(keys.extent()))
                .integer(shape.heads())
                .integer(shape.kvHeads())
                .integer(shape.headDim())
                .real(scale)
                .launch(
                        keys.rows(),
                        shape.kvHeads(),
                        1,
                        ATTENTION_TILE,
                        1,
                        4 * shape.headDim() * (2 + 2 * groups(shape)));
    }

    /** Whether {@link #backwardPacked} can do heads of a width. */
    boolean canPack(int headDim) {
        return flash.canPack(headDim);
    }

    /** As {@link FlashAttention#backwardPacked}. */
    boolean backwardPacked(
            long packed,
            int pitch,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            FlashAttention.OutputGradient arrives,
            AttentionRanges ranges,
            AttentionShape shape,
            IntTensor positions,
            long frequencies,
            long dots) {
        return flash.backwardPacked(
                packed,
                pitch,
                queries,
                keys,
                values,
                out,
                logSumExp,
                dout,
                arrives,
                ranges,
                shape,
                positions,
                frequencies,
                dots);
    }

    void causalRanges(
            IntTensor start,
            IntTensor end,
            IntTensor querySequence,
            IntTensor queryPosition,
            Extent queries,
            IntTensor keyOffsets,
            IntTensor keyPosition,
            int window) {
        kernel("causalRanges")
                .pointer(target(start))
                .pointer(target(end))
                .pointer(address(querySequence))
                .pointer(address(queryPosition))
                .integer(queries.bound())
                .pointer(count(queries))
                .pointer(address(keyOffsets))
                .pointer(address(keyPosition))
                .integer(window)
                .overElements(queries.bound());
    }
}
