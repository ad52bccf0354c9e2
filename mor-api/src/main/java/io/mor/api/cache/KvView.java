package io.mor.api.cache;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Tensor;
import java.util.Optional;

/**
 * One layer's keys and values, as the visiting rows of a call see them. Valid during that call.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface KvView {

    /** Whether the block must project keys and values for its rows; if not, {@link #attend} takes none. */
    boolean projects();

    /**
     * Stores the rows' keys and values as the plan says and attends over what the plan says.
     *
     * @param queries {@code [rows, heads * headDim]}, rotated
     * @param keys {@code [rows, kvHeads * headDim]}, rotated; present if and only if {@link #projects}
     * @param values {@code [rows, kvHeads * headDim]}
     * @return {@code [rows, heads * headDim]}
     */
    Tensor attend(AttentionShape shape, Tensor queries, Optional<Tensor> keys, Optional<Tensor> values);
}
