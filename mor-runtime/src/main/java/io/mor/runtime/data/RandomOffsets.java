package io.mor.runtime.data;

import io.mor.api.tensor.RandomKey;

/**
 * Rows that begin anywhere, drawn uniformly and with replacement, as nanoGPT does. The offset of row i of micro-batch n comes from a
 * counter-based random number of (seed, n, i).
 */
public final class RandomOffsets implements BatchSampler {

    private static final String STREAM = "data";

    private final TokenDataset dataset;
    private final int rows;
    private final int context;
    private final long seed;

    /**
     * A sampler.
     *
     * @param rows of a batch
     * @param context tokens of a row
     * @param seed of the run
     * @throws IllegalArgumentException if the dataset has fewer than context + 1 tokens
     */
    public RandomOffsets(TokenDataset dataset, int rows, int context, long seed) {
        BatchSampler.require(dataset, rows, context);
        this.dataset = dataset;
        this.rows = rows;
        this.context = context;
        this.seed = seed;
    }

    @Override
    public int rows() {
        return rows;
    }

    @Override
    public int context() {
        return context;
    }

    @Override
    public void fill(long microBatch, int[] inputs, int[] targets) {
        RandomKey key = RandomKey.of(seed, STREAM, microBatch);
        for (int row = 0; row < rows; row++) {
            long offset =
                    Math.unsignedMultiplyHigh(key.bits(0, row), dataset.size() - context); // 0 .. size - context - 1
            dataset.copy(offset, inputs, row * context, context);
            dataset.copy(offset + 1, targets, row * context, context);
        }
    }
}
