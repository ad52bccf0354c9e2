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

/**
 * Llama layers one after the other (spec 0.3, 1.2). All projections are shared over recursions; the norms too, unless {@code ln-share} is off:
 * then each has one row of weights per recursion. What else may differ is the {@link RelaxationConfig}'s (spec 1.5). Immutable, safe for
 * concurrent calls.
 */
public final class LlamaBlock implements RecursionBlock {

    private final List<LlamaLayer> layers;
    private final boolean normsPerRecursion;
    private final int visits;
    private final int firstRelaxed;
    private final Optional<Parameter> encoding;

    /** A block for its place in a model, the same in every recursion. */
    public LlamaBlock(ModelShape shape, BlockPlacement placement) {
        this(LlamaConfig.PLAIN, shape, placement);
    }

    /** A block for its place in a model. */
    @Inject
    public LlamaBlock(LlamaConfig config, ModelShape shape, BlockPlacement placement) {
        RelaxationConfig relaxation = config.relaxation();
        this.visits = placement.visits();
        this.normsPerRecursion = !shape.layerNormShared() && visits > 1;
        List<LlamaLayer> made = new ArrayList<>();
        for (int j = 0; j < placement.layers(); j++) {
            made.add(new LlamaLayer(
                    shape, placement.firstLayer() + j, normsPerRecursion ? visits : 1, relaxation, visits));
        }
        this.layers = List.copyOf(made);
        this.firstRelaxed = relaxation.skipFirstLoop() ? 2 : 1;
        this.encoding = relaxation.encoding() && visits > 1
                ? Optional.of(Parameter.scale(
                        "layers." + (placement.firstLayer() + placement.layers() - 1) + ".recursion_encoding.weight",
                        visits - firstRelaxed + 1,
                        shape.hidden()))
                : Optional.empty();
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>();
        layers.forEach(layer -> all.addAll(layer.parameters()));
        encoding.ifPresent(all::add);
        return all;
    }

    @Override
    public Tensor apply(CallContext context, TokenBatch batch, Tensor rows, KvViews caches) {
        Recursions at = new Recursions(context, batch, visits);
        Optional<IntTensor> norm =
                normsPerRecursion ? Optional.of(at.map(recursion -> recursion - 1)) : Optional.empty();
        Tensor current = rows;
        for (int j = 0; j < layers.size(); j++) {
            LlamaLayer layer = layers.get(j);
            KvView cache = caches.layer(j);
            current = context.ops().recomputable(current, x -> layer.apply(at, x, norm, cache));
        }
        return encoding.isPresent() ? at.scaleColumns(current, encoding.get(), firstRelaxed) : current;
    }

    @Override
    public long multiplyAddsPerRow(boolean projectsKeysAndValues) {
        return layers.stream()
                .mapToLong(layer -> layer.multiplyAddsPerRow(projectsKeysAndValues))
                .sum();
    }
}
