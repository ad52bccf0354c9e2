package io.mor.api.routing;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.Extent;

/**
 * Neighbouring rows of a batch that are at the same recursion.
 *
 * @param recursion from 1
 * @param firstRow where they start
 * @param extent how many there are
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record RecursionSegment(int recursion, int firstRow, Extent extent) {}
