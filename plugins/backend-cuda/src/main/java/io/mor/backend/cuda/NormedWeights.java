package io.mor.backend.cuda;

import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Copies of weights in bfloat16, each column times the weight of the norm before them. What such a copy makes of rows is, times the reciprocal of the
 * root of a row's mean square, what the weights make of the normed row; so nobody has to write normed rows. A copy lives as long as the memory of its
 * weights and is made anew when they, or the norm's, have changed: by the optimizer's step that changes the last of both, so that a step's launches are
 * the same whether a model was used between two steps or not.
 */
final class NormedWeights extends KernelFamily {

    private static final int AT_ONCE = 16; // copies that a launch makes; the kernel has room for as many
    private static final int BLOCKS = 264; // of a copy

    NormedWeights(CudaContext context) {
        super(context);
    }

    /**
     * @param address of the weights, float [rows, columns] in one piece
     * @param norm the memory of the norm's weight
     * @param normAddress of it, float [columns]
     */
    record Source(long address, int rows, int columns, Lifetime norm, long normAddress) {}

    /** A copy of these versions of the weights' memory and of the norm's. */
    record Copy(DeviceMemory.Block block, long version, long normVersion) {

        private boolean holds(Lifetime weights, Source source) {
            return version == weights.version() && normVersion == source.norm.version();
        }

        /** Whether all that it was made of has changed. */
        private boolean isOutlived(Lifetime weights, Source source) {
            return version != weights.version() && normVersion != source.norm.version();
        }
    }

    /**
     * The address of the copy, {@code bfloat16 [rows, columns]}.
     *
     * @param first of the weights, in single precision; those behind it in its memory follow up to {@code rows}
     * @param normWeight {@code [1, columns]}, in single precision
     */
    long of(CudaTensor first, int rows, Tensor normWeight) {
        CudaTensor norm = context.of(normWeight);
        Source source = new Source(first.address, rows, first.columns(), norm.lifetime, norm.address);
        Copy copy = first.lifetime.normedCopies().get(source);
        if (copy != null && copy.holds(first.lifetime, source)) {
            return copy.block.address();
        }
        DeviceMemory.Block block = copy != null
                ? copy.block
                : context.memory.allocate(2L * rows * first.columns(), "bfloat16 copy of weights times a norm's");
        norm.lifetime.scales(first.lifetime);
        make(first.lifetime, List.of(source), List.of(block));
        return block.address();
    }

    /** Makes copies anew of which not only this memory, which was written, but also what else they were made of has changed. */
    void renew(Lifetime written) {
        renewCopiesOf(written);
        written.scaled().stream().filter(weights -> weights != written).forEach(this::renewCopiesOf);
    }

    private void renewCopiesOf(Lifetime weights) {
        List<Source> sources = new ArrayList<>();
        List<DeviceMemory.Block> blocks = new ArrayList<>();
        for (Map.Entry<Source, Copy> each : weights.normedCopies().entrySet()) {
            if (each.getValue().isOutlived(weights, each.getKey())) {
                sources.add(each.getKey());
                blocks.add(each.getValue().block);
            }
        }
        make(weights, sources, blocks);
    }

    private void make(Lifetime weights, List<Source> sources, List<DeviceMemory.Block> blocks) {
        for (int first = 0; first < sources.size(); first += AT_ONCE) {
            int count = Math.min(AT_ONCE, sources.size() - first);
            long narrow = context.shadowOf(weights).address();
            Kernels launch = kernel("narrowNormedWeights");
            double moved = 0;
            for (int i = 0; i < AT_ONCE; i++) {
                long[] entry = new long[4];
                if (i < count) {
                    Source source = sources.get(first + i);
                    entry[0] = blocks.get(first + i).address();
                    entry[1] = narrow + (source.address - weights.block.address()) / 2;
                    entry[2] = source.normAddress;
                    entry[3] = (long) source.rows << 32 | source.columns / 8;
                    moved += 4.0 * source.rows * source.columns;
                }
                launch = launch.words(entry);
            }
            context.kernels.operand(moved);
            launch.launch(BLOCKS, count, 1, 256, 1, 0);
        }
        for (int i = 0; i < sources.size(); i++) {
            Source source = sources.get(i);
            Copy copy = new Copy(blocks.get(i), weights.version(), source.norm.version());
            weights.normedCopies().put(source, copy);
        }
    }
}
