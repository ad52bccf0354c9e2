package io.mor.api.tensor;

import io.mor.api.plugin.Stability;

/**
 * A vector of 32-bit integers in a backend's memory: token ids, row indices, positions, offsets, counts. A handle with the same lifetime
 * rules as {@link Tensor}.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface IntTensor {

    /** The number of elements. */
    int length();
}
