package io.mor.api.tensor;

import io.mor.api.plugin.Stability;
import java.util.Objects;
import java.util.Optional;

/**
 * How many rows there are: an upper bound that the host knows, and, unless that bound is exact, a count that lives on the device.
 *
 * <p>Memory is sized and kernels are launched by the bound; kernels read the count. Rows from the count up to the bound hold unspecified
 * values that no kernel reads.
 *
 * @param bound the largest number of rows, at least 0
 * @param count element 0 is the exact number of rows, between 0 and the bound; empty if the bound is exact
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record Extent(int bound, Optional<IntTensor> count) {

    /** Checks the bound. */
    public Extent {
        Objects.requireNonNull(count, "count is null");
        if (bound < 0) {
            throw new IllegalArgumentException("a bound of " + bound + " rows is negative");
        }
    }

    /** An extent whose bound is exact. */
    public static Extent exact(int rows) {
        return new Extent(rows, Optional.empty());
    }

    /** An extent whose exact count is element 0 of {@code count}, on the device. */
    public static Extent counted(int bound, IntTensor count) {
        return new Extent(bound, Optional.of(count));
    }

    /** Whether the host knows the number of rows. */
    public boolean isExact() {
        return count.isEmpty();
    }

    /** The same count with the bound lowered to {@code limit} if it is larger; the caller knows that the count is not. */
    public Extent atMost(int limit) {
        return bound <= limit ? this : new Extent(limit, count);
    }
}
