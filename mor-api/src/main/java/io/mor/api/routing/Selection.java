package io.mor.api.routing;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.Tensor;
import java.util.Objects;
import java.util.Optional;

/**
 * Which candidates go on.
 *
 * @param mask 1 or 0 for every candidate, {@code [rows, 1]}, without gradient
 * @param exact how many are selected, where the host knows (top-k)
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record Selection(Tensor mask, Optional<Integer> exact) {

    /** Checks for null. */
    public Selection {
        Objects.requireNonNull(mask, "mask is null");
        Objects.requireNonNull(exact, "exact is null");
    }
}
