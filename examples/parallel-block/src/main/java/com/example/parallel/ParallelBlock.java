package com.example.parallel;

import io.mor.api.block.BlockPlacement;
import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvView;
import io.mor.api.cache.KvViews;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import jakarta.inject.Inject;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** Layers whose attention and feed-forward part read the same norm side by side: {@code x + attention(norm(x)) + feedForward(norm(x))}. */
public final class ParallelBlock implements RecursionBlock {

    private final ModelShape shape;
    private final List<Layer> layers;

    private record Layer(
            Parameter norm,
            Parameter queries,
            Parameter keys,
            Parameter values,
            Parameter output,
            Parameter up,
            Parameter down) {

        List<Parameter> all() {
            return List.of(norm, queries, keys, values, output, up, down);
        }
    }

    /** Called by mor for each place in the model where a block stands. */
    @Inject
    public ParallelBlock(ModelShape shape, BlockPlacement placement) {
        this.shape = shape;
        this.layers = IntStream.range(0, placement.layers())
                .mapToObj(j -> layer("layers." + (placement.firstLayer() + j) + "."))
                .toList();
    }

    private Layer layer(String name) {
        int width = shape.hidden();
        int queryWidth = shape.attention().queryWidth();
        int kvWidth = shape.attention().kvWidth();
        return new Layer(
                Parameter.scale(name + "norm.weight", 1, width),
                Parameter.weight(name + "q_proj.weight", queryWidth, width),
                Parameter.weight(name + "k_proj.weight", kvWidth, width),
                Parameter.weight(name + "v_proj.weight", kvWidth, width),
                Parameter.weight(name + "o_proj.weight", width, queryWidth),
                Parameter.weight(name + "up_proj.weight", shape.ffn(), width),
                Parameter.weight(name + "down_proj.weight", width, shape.ffn()));
    }

    @Override
    public List<Parameter> parameters() {
        return layers.stream().flatMap(layer -> layer.all().stream()).toList();
    }

    @Override
    public Tensor apply(CallContext context, TokenBatch batch, Tensor rows, KvViews caches) {
        Ops ops = context.ops();
        Tensor x = rows; // [rows, hidden]
        for (int j = 0; j < layers.size(); j++) {
            Layer layer = layers.get(j);
            Tensor normed = ops.rmsNorm(x, context.value(layer.norm), Optional.empty(), shape.normEpsilon());
            Tensor attended =
                    ops.linear(attention(context, batch, normed, layer, caches.layer(j)), context.value(layer.output));
            Tensor inner = ops.apply(Unary.SILU, ops.linear(normed, context.value(layer.up)));
            x = ops.add(ops.add(x, attended), ops.linear(inner, context.value(layer.down)));
        }
        return x;
    }

    private Tensor attention(CallContext context, TokenBatch batch, Tensor normed, Layer layer, KvView cache) {
        Ops ops = context.ops();
        Optional<Tensor> keys = Optional.empty();
        Optional<Tensor> values = Optional.empty();
        if (cache.projects()) { // the cache strategy decides whether this visit stores anything
            keys = Optional.of(rotated(ops, batch, ops.linear(normed, context.value(layer.keys))));
            values = Optional.of(ops.linear(normed, context.value(layer.values)));
        }
        Tensor queries = rotated(ops, batch, ops.linear(normed, context.value(layer.queries)));
        return cache.attend(shape.attention(), queries, keys, values);
    }

    private Tensor rotated(Ops ops, TokenBatch batch, Tensor x) {
        return ops.rope(x, batch.position(), shape.attention().headDim(), shape.ropeTheta());
    }

    @Override
    public long multiplyAddsPerRow(boolean projectsKeysAndValues) {
        long attention = 2L * shape.attention().queryWidth()
                + (projectsKeysAndValues ? 2L * shape.attention().kvWidth() : 0);
        return layers.size() * shape.hidden() * (attention + 2L * shape.ffn());
    }
}
