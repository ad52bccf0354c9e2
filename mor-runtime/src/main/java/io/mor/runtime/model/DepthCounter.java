package io.mor.runtime.model;

import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;
import java.util.Arrays;
import java.util.Optional;

/**
 * Counts on the device how many recursions of the shared stage each row of a call goes through, and reads the counts once, after it. Rows of a
 * model without routing all run its recursions; a vanilla model has one. One call, one thread.
 */
public final class DepthCounter implements MorModel.RecursionListener {

    private final MorModel model;
    private final ModelCall call;
    private final int rows;
    private Tensor depths; // [rows, 1]

    /** A counter for a call with so many rows. */
    public DepthCounter(MorModel model, ModelCall call, int rows) {
        this.model = model;
        this.call = call;
        this.rows = rows;
        this.depths = call.ops().constant(Extent.exact(rows), 1, 0);
    }

    @Override
    public void visited(int recursion, TokenBatch active) {
        Tensor one = call.ops().constant(active.extent(), 1, 1);
        depths = call.ops().addToRows(depths, active.entryRow(), one, Optional.empty());
    }

    /** The depth of each row; waits for the call. */
    public int[] read() {
        int[] counts = new int[rows];
        if (model.sharedStage() < 0) {
            Arrays.fill(counts, model.plan().recursions());
            return counts;
        }
        float[] values = call.backend().readFloats(depths);
        for (int i = 0; i < rows; i++) {
            counts[i] = Math.round(values[i]);
        }
        return counts;
    }
}
