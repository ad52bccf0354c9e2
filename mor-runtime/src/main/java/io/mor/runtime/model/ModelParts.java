package io.mor.runtime.model;

import io.mor.api.block.BlockPlacement;
import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvCache;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.routing.Selector;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Function;

/**
 * The pluggable parts of a model.
 *
 * @param block makes a block for its place
 * @param router makes the router; empty for none
 * @param cache the cache strategy
 * @param selector makes the causal selector; empty for none
 */
public record ModelParts(
        BiFunction<ModelShape, BlockPlacement, RecursionBlock> block,
        Optional<Function<ModelShape, Router>> router,
        KvCache cache,
        Optional<Function<ModelShape, Selector>> selector) {}
