package io.mor.api.backend;

import io.mor.api.plugin.Stability;

/**
 * The number format of a backend's tensors.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public enum Precision {
    /** IEEE 64 bit. */
    FLOAT64(8),
    /** IEEE 32 bit. */
    FLOAT32(4),
    /** bfloat16 storage, 32-bit accumulation. */
    BFLOAT16(2);

    private final int bytes;

    Precision(int bytes) {
        this.bytes = bytes;
    }

    /** Bytes of one element. */
    public int bytes() {
        return bytes;
    }
}
