package io.mor.api.tensor;

import io.mor.api.plugin.Stability;

/**
 * How several values become one.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public enum Reduction {
    /** The sum; 0 of nothing. */
    SUM,
    /** The largest; negative infinity of nothing. */
    MAXIMUM,
    /** The smallest; positive infinity of nothing. */
    MINIMUM
}
