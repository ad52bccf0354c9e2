package io.mor.runtime.evaluate;

import io.mor.runtime.data.Batch;
import io.mor.runtime.data.SequentialRows;
import java.util.Iterator;
import java.util.NoSuchElementException;

/** Text for evaluation: each row once, in order, as often as it is asked for. */
public final class EvaluationBatches {

    private EvaluationBatches() {}

    /**
     * The first batches of a text.
     *
     * @param batches how many at most; 0 for the whole text
     */
    public static Iterable<Batch> of(SequentialRows rows, long batches) {
        if (batches < 0) {
            throw new IllegalArgumentException(
                    "an evaluation of " + batches + " batches: give a number, or 0 for the whole text");
        }
        long end = batches == 0 || batches > rows.rowCount() / rows.rows() ? rows.rowCount() : batches * rows.rows();
        return () -> new Iterator<>() {
            private long next;

            @Override
            public boolean hasNext() {
                return next < end;
            }

            @Override
            public Batch next() {
                if (!hasNext()) {
                    throw new NoSuchElementException("all " + end + " rows have been given");
                }
                Batch batch = rows.rows(next, (int) Math.min(rows.rows(), end - next));
                next += batch.rows();
                return batch;
            }
        };
    }
}
