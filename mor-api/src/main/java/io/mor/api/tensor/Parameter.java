package io.mor.api.tensor;

import io.mor.api.plugin.Stability;
import java.util.Objects;

/**
 * A trained matrix that an extension declares. A description and a key, not the values: {@link CallContext#value(Parameter)} gives those.
 *
 * @param name its name in checkpoints, unique within the model, for example {@code router.0.weight}
 * @param rows outputs
 * @param columns inputs
 * @param initializer how it starts
 * @param group how it is optimised
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record Parameter(String name, int rows, int columns, Initializer initializer, OptimizerGroup group) {

    /** Checks names and shape. */
    public Parameter {
        Objects.requireNonNull(name, "name is null");
        Objects.requireNonNull(initializer, "initializer is null");
        Objects.requireNonNull(group, "group is null");
        if (rows < 1 || columns < 1) {
            throw new IllegalArgumentException(
                    "parameter " + name + " of shape [" + rows + ", " + columns + "] is empty");
        }
    }

    /** A weight with the model's initialisation, decayed. */
    public static Parameter weight(String name, int rows, int columns) {
        return new Parameter(name, rows, columns, new Initializer.ModelDefault(), OptimizerGroup.DECAYED);
    }

    /** A norm's scale: ones, not decayed. */
    public static Parameter scale(String name, int rows, int columns) {
        return new Parameter(name, rows, columns, new Initializer.Constant(1), OptimizerGroup.UNDECAYED);
    }
}
