package io.mor.runtime.data;

/**
 * Cuts batches from a dataset. Micro-batch n depends on n and the sampler's own settings alone, so that the data position of a run is the
 * number of its next micro-batch and a resumed run goes on with the same tokens.
 *
 * <p>Thread safety: immutable; {@link #fill} writes only to its arguments.
 */
public sealed interface BatchSampler permits SequentialRows, RandomOffsets {

    /** Rows of a batch. */
    int rows();

    /** Tokens of a row. */
    int context();

    /**
     * Writes a micro-batch into arrays, allocating nothing.
     *
     * @param microBatch from 0
     * @param inputs {@code [rows, context]}
     * @param targets {@code [rows, context]}
     */
    void fill(long microBatch, int[] inputs, int[] targets);

    /** A micro-batch in arrays of its own. */
    default Batch batch(long microBatch) {
        int[] inputs = new int[Math.multiplyExact(rows(), context())];
        int[] targets = new int[inputs.length];
        fill(microBatch, inputs, targets);
        return new Batch(rows(), context(), inputs, targets);
    }

    /** Refuses sizes below 1 and a dataset that holds not even one row and the token after it. */
    static void require(TokenDataset dataset, int rows, int context) {
        if (rows < 1 || context < 1) {
            throw new IllegalArgumentException(
                    "a batch of " + rows + " rows of " + context + " tokens: both must be at least 1");
        }
        if (dataset.size() <= context) {
            throw new IllegalArgumentException(dataset.name() + " has " + dataset.size() + " tokens, a context of "
                    + context + " needs at least " + (context + 1L) + "; give more text, or a smaller model.context");
        }
    }
}
