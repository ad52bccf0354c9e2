package io.mor.testkit;

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
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** The least block that attends: in each layer {@code x + attention(x)}, without norms and feed-forward layers. */
final class AttentionBlock implements RecursionBlock {

    private record Layer(Parameter queries, Parameter keys, Parameter values, Parameter output) {}

    private final ModelShape shape;
    private final List<Layer> layers;

    AttentionBlock(ModelShape shape, BlockPlacement placement) {
        this.shape = shape;
        int width = shape.hidden();
        int queryWidth = shape.attention().queryWidth();
        int kvWidth = shape.attention().kvWidth();
        this.layers = IntStream.range(0, placement.layers())
                .mapToObj(j -> "layers." + (placement.firstLayer() + j) + ".")
                .map(prefix -> new Layer(
                        Parameter.weight(prefix + "queries", queryWidth, width),
                        Parameter.weight(prefix + "keys", kvWidth, width),
                        Parameter.weight(prefix + "values", kvWidth, width),
                        Parameter.weight(prefix + "output", width, queryWidth)))
                .toList();
    }

    @Override
    public List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>();
        layers.forEach(layer -> all.addAll(List.of(layer.queries(), layer.keys(), layer.values(), layer.output())));
        return all;
    }

    @Override
    public Tensor apply(CallContext context, TokenBatch batch, Tensor rows, KvViews caches) {
        Ops ops = context.ops();
        Tensor current = rows;
        for (int j = 0; j < layers.size(); j++) {
            Layer layer = layers.get(j);
            KvView cache = caches.layer(j);
            Tensor queries = rotated(ops, ops.linear(current, context.value(layer.queries())), batch);
            Optional<Tensor> keys = Optional.empty();
            Optional<Tensor> values = Optional.empty();
            if (cache.projects()) {
                keys = Optional.of(rotated(ops, ops.linear(current, context.value(layer.keys())), batch));
                values = Optional.of(ops.linear(current, context.value(layer.values())));
            }
            Tensor attended = cache.attend(shape.attention(), queries, keys, values);
            current = ops.add(current, ops.linear(attended, context.value(layer.output())));
        }
        return current;
    }

    private Tensor rotated(Ops ops, Tensor x, TokenBatch batch) {
        return ops.rope(x, batch.position(), shape.attention().headDim(), shape.ropeTheta());
    }

    @Override
    public long multiplyAddsPerRow(boolean projectsKeysAndValues) {
        long projected = 2L * shape.attention().queryWidth()
                + (projectsKeysAndValues ? 2L * shape.attention().kvWidth() : 0);
        return layers.size() * projected * shape.hidden();
    }
}
