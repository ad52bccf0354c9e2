package io.mor.block.llama;

import io.mor.api.block.BlockPlacement;
import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvView;
import io.mor.api.cache.KvViews;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import jakarta.inject.Inject;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Llama layers one after the other (spec 0.3, 1.2). All projections are shared over recursions; the norms too, unless {@code ln-share} is off:
 * then each has one row of weights per recursion. Immutable, safe for concurrent calls.
 */
public final class LlamaBlock implements RecursionBlock {

    private final List<LlamaLayer> layers;
    private final boolean normsPerRecursion;
    private final int visits;

    /** A block for its place in a model. */
    @Inject
    public LlamaBlock(ModelShape shape, BlockPlacement placement) {
        this.visits = placement.visits();
        this.normsPerRecursion = !shape.layerNormShared() && placement.visits() > 1;
        List<LlamaLayer> made = new ArrayList<>();
        for (int j = 0; j < placement.layers(); j++) {
            made.add(new LlamaLayer(shape, placement.firstLayer() + j, normsPerRecursion ? placement.visits() : 1));
        }
        this.layers = List.copyOf(made);
    }

    @Override
    public List<Parameter> parameters() {
        return layers.stream().flatMap(layer -> layer.parameters().stream()).toList();
    }

    @Override
    public Tensor apply(CallContext context, TokenBatch batch, Tensor rows, KvViews caches) {
        Optional<IntTensor> norm = normsPerRecursion ? Optional.of(normOfEachRow(context, batch)) : Optional.empty();
        Tensor current = rows;
        for (int j = 0; j < layers.size(); j++) {
            LlamaLayer layer = layers.get(j);
            KvView cache = caches.layer(j);
            current = context.ops().recomputable(current, x -> layer.apply(context, batch, x, norm, cache));
        }
        return current;
    }

    /** Recursions count from 1, rows of the norms from 0. */
    private IntTensor normOfEachRow(CallContext context, TokenBatch batch) {
        int[] normOfRecursion = IntStream.rangeClosed(0, visits)
                .map(recursion -> Math.max(0, recursion - 1))
                .toArray();
        return context.ops().gatherInts(context.ops().ints(normOfRecursion), batch.recursion(), batch.extent());
    }

    @Override
    public long multiplyAddsPerRow(boolean projectsKeysAndValues) {
        return layers.stream()
                .mapToLong(layer -> layer.multiplyAddsPerRow(projectsKeysAndValues))
                .sum();
    }
}
