package io.mor.api.tensor;

import io.mor.api.plugin.Stability;
import java.util.Objects;

/**
 * A matrix that an extension keeps between steps and that no gradient trains: a running cut-off, a balancing bias, a counter. Saved in
 * every checkpoint, frozen in evaluation.
 *
 * @param name its name in checkpoints, unique within the model, for example {@code router.bias}
 * @param rows rows
 * @param columns columns
 * @param initial the value of every element at the start
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record StateBuffer(String name, int rows, int columns, double initial) {

    /** Checks the shape. */
    public StateBuffer {
        Objects.requireNonNull(name, "name is null");
        if (rows < 1 || columns < 1) {
            throw new IllegalArgumentException("buffer " + name + " of shape [" + rows + ", " + columns + "] is empty");
        }
    }
}
