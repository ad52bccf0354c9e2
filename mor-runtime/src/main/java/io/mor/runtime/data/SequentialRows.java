package io.mor.runtime.data;

import java.util.Objects;

/**
 * The text cut into contiguous rows without overlap, in order, again and again (spec 5.2). The last target of a row is the first input of
 * the
 * next; tokens at the end that fill no row are left out.
 */
public final class SequentialRows implements BatchSampler {

    private final TokenDataset dataset;
    private final int rows;
    private final int context;
    private final long rowCount;

    /**
     * A sampler.
     *
     * @param rows of a batch
     * @param context tokens of a row
     * @throws IllegalArgumentException if the dataset has fewer than context + 1 tokens
     */
    public SequentialRows(TokenDataset dataset, int rows, int context) {
        BatchSampler.require(dataset, rows, context);
        this.dataset = dataset;
        this.rows = rows;
        this.context = context;
        this.rowCount = (dataset.size() - 1) / context;
    }

    @Override
    public int rows() {
        return rows;
    }

    @Override
    public int context() {
        return context;
    }

    /** Number of rows that the text has; after so many the first comes again. */
    public long rowCount() {
        return rowCount;
    }

    @Override
    public void fill(long microBatch, int[] inputs, int[] targets) {
        for (int row = 0; row < rows; row++) {
            copy(Math.floorMod(microBatch * rows + row, rowCount), row, inputs, targets);
        }
    }

    /**
     * Rows for evaluation, where each row counts once and the last batch may be smaller.
     *
     * @param first row, from 0
     * @param count of rows; first + count at most {@link #rowCount}
     */
    public Batch rows(long first, int count) {
        Objects.checkFromIndexSize(first, count, rowCount);
        int[] inputs = new int[Math.multiplyExact(count, context)];
        int[] targets = new int[inputs.length];
        for (int row = 0; row < count; row++) {
            copy(first + row, row, inputs, targets);
        }
        return new Batch(count, context, inputs, targets);
    }

    private void copy(long row, int at, int[] inputs, int[] targets) {
        dataset.copy(row * context, inputs, at * context, context);
        dataset.copy(row * context + 1, targets, at * context, context);
    }
}
