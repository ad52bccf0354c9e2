package io.mor.api.tensor;

import io.mor.api.plugin.Stability;

/**
 * Comparisons; a kernel writes 1 where one holds and 0 where it does not (also where an operand is NaN).
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public enum Comparison {
    /** {@code a > b}. */
    GREATER,
    /** {@code a >= b}. */
    AT_LEAST,
    /** {@code a == b}. */
    EQUAL,
    /** {@code a < b}. */
    LESS
}
