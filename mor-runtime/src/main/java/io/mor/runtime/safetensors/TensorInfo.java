package io.mor.runtime.safetensors;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * What a safetensors header says of one tensor, without its place in the file.
 *
 * @param name unique in its file
 * @param type of the elements
 * @param shape row-major extents; empty for a scalar
 */
public record TensorInfo(String name, TensorType type, List<Long> shape) {

    /** Checks that no extent is negative and that the size in bytes fits a long. */
    public TensorInfo {
        Objects.requireNonNull(name, "name is null");
        Objects.requireNonNull(type, "type is null");
        shape = List.copyOf(shape);
        try {
            Math.multiplyExact(count(shape), type.bytes());
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException(
                    "tensor '" + name + "' has the shape " + shape + ", which is not a possible size", e);
        }
    }

    /** A tensor of the given extents. */
    public static TensorInfo of(String name, TensorType type, long... shape) {
        return new TensorInfo(name, type, Arrays.stream(shape).boxed().toList());
    }

    /** Number of elements. */
    public long count() {
        return count(shape);
    }

    /** Size of the data in bytes. */
    public long bytes() {
        return count() * type.bytes();
    }

    private static long count(List<Long> shape) {
        long count = 1;
        for (long extent : shape) {
            if (extent < 0) {
                throw new ArithmeticException("negative extent");
            }
            count = Math.multiplyExact(count, extent);
        }
        return count;
    }
}
