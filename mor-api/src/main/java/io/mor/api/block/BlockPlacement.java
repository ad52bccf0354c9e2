package io.mor.api.block;

import io.mor.api.plugin.Stability;

/**
 * Where a block stands in the model; injected into its constructor.
 *
 * @param firstLayer physical index of its first layer; its parameters are named {@code layers.{firstLayer + j}.} and so on
 * @param layers number of layers
 * @param visits how often the block is applied in a full pass, at least 1; with unshared norms each visit has its own
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record BlockPlacement(int firstLayer, int layers, int visits) {}
