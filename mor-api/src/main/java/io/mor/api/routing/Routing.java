package io.mor.api.routing;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Tensor;
import java.util.Objects;
import java.util.Optional;

/**
 * A router's decision for one recursion.
 *
 * @param selected the rows of the batch that go through the block, ascending; empty if all do
 * @param state what the router remembers, for all rows of the batch
 * @param gate the factor of each row's update {@code [rows of the batch, 1]}; empty for 1
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record Routing(Optional<Ops.Rows> selected, RoutingState state, Optional<Tensor> gate) {

    /** Checks for null. */
    public Routing {
        Objects.requireNonNull(selected, "selected is null");
        Objects.requireNonNull(state, "state is null");
        Objects.requireNonNull(gate, "gate is null");
    }
}
