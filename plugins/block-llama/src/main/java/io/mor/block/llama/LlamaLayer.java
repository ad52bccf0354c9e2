package io.mor.block.llama;

import io.mor.api.cache.KvView;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** One decoder layer: {@code x += attention(norm(x)); x += feedForward(norm(x))} (spec 0.3). */
final class LlamaLayer {

    private final ModelShape shape;
    private final int index;
    private final Parameter inputNorm;
    private final Parameter postAttentionNorm;
    private final RelaxedLinear queries;
    private final RelaxedLinear keys;
    private final RelaxedLinear values;
    private final RelaxedLinear output;
    private final RelaxedLinear gate;
    private final RelaxedLinear up;
    private final RelaxedLinear down;
    private final Optional<Prefix> prefix;
    private final boolean relaxed;

    /**
     * A layer.
     *
     * @param index its physical index
     * @param norms how many sets of norms it has: 1, or one per visit where they are not shared
     * @param relaxation what differs between its visits
     */
    LlamaLayer(ModelShape shape, int index, int norms, RelaxationConfig relaxation, int visits) {
        this.shape = shape;
        this.index = index;
        String layer = "layers." + index + ".";
        int width = shape.hidden();
        AttentionShape heads = shape.attention();
        this.inputNorm = Parameter.scale(layer + "input_layernorm.weight", norms, width);
        this.postAttentionNorm = Parameter.scale(layer + "post_attention_layernorm.weight", norms, width);
        LinearFactory linear = (projection, name, out, in) ->
                new RelaxedLinear(Parameter.weight(layer + name + ".weight", out, in), projection, relaxation, visits);
        this.queries = linear.make(Projection.Q, "self_attn.q_proj", heads.queryWidth(), width);
        this.keys = linear.make(Projection.K, "self_attn.k_proj", heads.kvWidth(), width);
        this.values = linear.make(Projection.V, "self_attn.v_proj", heads.kvWidth(), width);
        this.output = linear.make(Projection.O, "self_attn.o_proj", width, heads.queryWidth());
        this.gate = linear.make(Projection.GATE, "mlp.gate_proj", shape.ffn(), width);
        this.up = linear.make(Projection.UP, "mlp.up_proj", shape.ffn(), width);
        this.down = linear.make(Projection.DOWN, "mlp.down_proj", width, shape.ffn());
        this.prefix =
                relaxation.prefix() == 0 ? Optional.empty() : Optional.of(new Prefix(layer, width, relaxation, visits));
        this.relaxed = prefix.isPresent()
                || linears().anyMatch(each -> !each.adapters().isEmpty());
    }

    @FunctionalInterface
    private interface LinearFactory {
        RelaxedLinear make(Projection projection, String name, int out, int in);
    }

    private Stream<RelaxedLinear> linears() {
        return Stream.of(queries, keys, values, output, gate, up, down);
    }

    List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>(List.of(
                inputNorm,
                queries.weight(),
                keys.weight(),
                values.weight(),
                output.weight(),
                postAttentionNorm,
                gate.weight(),
                up.weight(),
                down.weight()));
        linears().forEach(linear -> all.addAll(linear.adapters()));
        prefix.ifPresent(present -> all.addAll(present.parameters()));
        return all;
    }

    /**
     * The layer's output.
     *
     * @param norm for every row which set of norms applies; empty if there is one
     */
    Tensor apply(Recursions at, Tensor rows, Optional<IntTensor> norm, KvView cache) {
        return relaxed ? relaxed(at, rows, norm, cache) : plain(at, rows, norm, cache);
    }

    /** In fused operations. */
    private Tensor plain(Recursions at, Tensor rows, Optional<IntTensor> norm, KvView cache) {
        CallContext context = at.context();
        Ops ops = at.ops();
        AttentionShape heads = shape.attention();
        Optional<Ops.Rotation> rotation =
                Optional.of(new Ops.Rotation(at.batch().position(), heads.headDim(), shape.ropeTheta()));
        List<Ops.Projection> projections = new ArrayList<>();
        projections.add(new Ops.Projection(context.value(queries.weight()), rotation));
        if (cache.projects()) {
            projections.add(new Ops.Projection(context.value(keys.weight()), rotation));
            projections.add(new Ops.Projection(context.value(values.weight()), Optional.empty()));
        }
        List<Tensor> qkv = ops.normedLinears(rows, context.value(inputNorm), norm, shape.normEpsilon(), projections);
        Optional<Tensor> k = cache.projects() ? Optional.of(qkv.get(1)) : Optional.empty();
        Optional<Tensor> v = cache.projects() ? Optional.of(qkv.get(2)) : Optional.empty();
        Tensor attended = cache.attend(heads, qkv.getFirst(), k, v);
        Tensor middle = shape.dropout() == 0
                ? ops.addLinear(rows, attended, context.value(output.weight()))
                : ops.add(rows, dropout(context, ops.linear(attended, context.value(output.weight())), "attention"));

        Ops.FeedForward layers = new Ops.FeedForward(
                context.value(gate.weight()), context.value(up.weight()), context.value(down.weight()));
        Tensor scale = context.value(postAttentionNorm);
        if (shape.dropout() == 0) {
            return ops.addFeedForward(middle, scale, norm, shape.normEpsilon(), layers);
        }
        Tensor normed = ops.rmsNorm(middle, scale, norm, shape.normEpsilon());
        Tensor inner = ops.swiGlu(ops.linear(normed, layers.gate()), ops.linear(normed, layers.up()));
        return ops.add(middle, dropout(context, ops.linear(inner, layers.down()), "feed-forward"));
    }

    private Tensor relaxed(Recursions at, Tensor rows, Optional<IntTensor> norm, KvView cache) {
        CallContext context = at.context();
        Ops ops = at.ops();
        AttentionShape heads = shape.attention();
        Tensor normed = ops.rmsNorm(rows, context.value(inputNorm), norm, shape.normEpsilon());
        Tensor q = rotate(ops, queries.apply(at, normed), at.batch());
        Optional<Tensor> k = Optional.empty();
        Optional<Tensor> v = Optional.empty();
        if (cache.projects()) {
            k = Optional.of(rotate(ops, keys.apply(at, normed), at.batch()));
            v = Optional.of(values.apply(at, normed));
        }
        Tensor found = cache.attend(heads, q, k, v);
        if (prefix.isPresent()) {
            found = ops.add(found, prefix.get().attend(at, heads, q, keys, values));
        }
        Tensor middle = ops.add(rows, dropout(context, output.apply(at, found), "attention"));

        Tensor normedMiddle = ops.rmsNorm(middle, context.value(postAttentionNorm), norm, shape.normEpsilon());
        Tensor inner = ops.swiGlu(gate.apply(at, normedMiddle), up.apply(at, normedMiddle));
        return ops.add(middle, dropout(context, down.apply(at, inner), "feed-forward"));
    }

    private Tensor rotate(Ops ops, Tensor x, TokenBatch batch) {
        return ops.rope(x, batch.position(), shape.attention().headDim(), shape.ropeTheta());
    }

    private Tensor dropout(CallContext context, Tensor x, String place) {
        return shape.dropout() == 0
                ? x
                : context.ops().dropout(x, shape.dropout(), context.random("dropout " + index + " " + place));
    }

    /** Multiply-adds of one row's matrix products. */
    long multiplyAddsPerRow(boolean projectsKeysAndValues) {
        return linears()
                .filter(linear -> projectsKeysAndValues || linear != keys && linear != values)
                .mapToLong(RelaxedLinear::multiplyAddsPerRow)
                .sum();
    }
}
