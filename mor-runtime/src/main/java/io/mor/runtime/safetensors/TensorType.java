package io.mor.runtime.safetensors;

/** An element type of a safetensors file; the constant's name is its {@code dtype} in the header. All are little-endian. */
public enum TensorType {
    F64(8),
    F32(4),
    F16(2),
    /** The upper half of an {@link #F32}. */
    BF16(2),
    I64(8),
    I32(4),
    U8(1);

    private final int bytes;

    TensorType(int bytes) {
        this.bytes = bytes;
    }

    /** Bytes of one element. */
    public int bytes() {
        return bytes;
    }

    /** The value that BF16 bits stand for. */
    public static float fromBfloat16(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /** BF16 bits nearest to a value, ties to even; NaN stays NaN. */
    public static short toBfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short)
                    ((bits >>> 16) | 0x40); // quiet, so that a payload in the lower half cannot turn it into infinity
        }
        return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
    }
}
