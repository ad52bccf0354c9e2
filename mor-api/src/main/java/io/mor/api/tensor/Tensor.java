package io.mor.api.tensor;

import io.mor.api.plugin.Stability;

/**
 * A matrix of floating-point numbers in a backend's memory, row-major: {@code [rows, columns]}. Activations are packed rows {@code [rows,
 * width]}; weights are {@code [out, in]}; a column of per-row values is {@code [rows, 1]}, a scalar {@code [1, 1]}.
 *
 * <p>A tensor is a handle: it is created by a {@link io.mor.api.backend.Backend}, belongs to the region of memory it was allocated in and
 * must not be used after that region is closed. Identity is object identity. Values are read by kernels; only code that owns the step may
 * copy them to the host.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface Tensor {

    /** The rows: bound and count. */
    Extent extent();

    /** The number of columns, at least 1. */
    int columns();

    /** The bound of the rows. */
    default int rows() {
        return extent().bound();
    }
}
