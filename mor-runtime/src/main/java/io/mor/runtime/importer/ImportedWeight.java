package io.mor.runtime.importer;

import java.util.List;
import java.util.Objects;

/**
 * A parameter under our name and in our layout.
 *
 * @param name for example {@code layers.0.self_attn.q_proj.weight}
 * @param shape {@code [out, in]}, or {@code [width]} for a norm
 * @param values row-major
 */
public record ImportedWeight(String name, List<Integer> shape, float[] values) {

    /** Checks that the values fill the shape. */
    public ImportedWeight {
        Objects.requireNonNull(name, "name is null");
        shape = List.copyOf(shape);
        if (shape.stream().mapToLong(Integer::longValue).reduce(1, Math::multiplyExact) != values.length) {
            throw new IllegalArgumentException(name + " of shape " + shape + " has " + values.length + " values");
        }
    }
}
