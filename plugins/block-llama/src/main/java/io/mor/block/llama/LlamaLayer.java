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

/** One decoder layer: {@code x += attention(norm(x)); x += feedForward(norm(x))} (spec 0.3). */
final class LlamaLayer {

    private final ModelShape shape;
    private final int index;
    private final Parameter inputNorm;
    private final Parameter postAttentionNorm;
    private final Parameter queries;
    private final Parameter keys;
    private final Parameter values;
    private final Parameter output;
    private final Parameter gate;
    private final Parameter up;
    private final Parameter down;

    /**
     * A layer.
     *
     * @param index its physical index
     * @param norms how many sets of norms it has: 1, or one per visit where they are not shared
     */
    LlamaLayer(ModelShape shape, int index, int norms) {
        this.shape = shape;
        this.index = index;
        String prefix = "layers." + index + ".";
        int width = shape.hidden();
        AttentionShape heads = shape.attention();
        this.inputNorm = Parameter.scale(prefix + "input_layernorm.weight", norms, width);
        this.postAttentionNorm = Parameter.scale(prefix + "post_attention_layernorm.weight", norms, width);
        this.queries = Parameter.weight(prefix + "self_attn.q_proj.weight", heads.queryWidth(), width);
        this.keys = Parameter.weight(prefix + "self_attn.k_proj.weight", heads.kvWidth(), width);
        this.values = Parameter.weight(prefix + "self_attn.v_proj.weight", heads.kvWidth(), width);
        this.output = Parameter.weight(prefix + "self_attn.o_proj.weight", width, heads.queryWidth());
        this.gate = Parameter.weight(prefix + "mlp.gate_proj.weight", shape.ffn(), width);
        this.up = Parameter.weight(prefix + "mlp.up_proj.weight", shape.ffn(), width);
        this.down = Parameter.weight(prefix + "mlp.down_proj.weight", width, shape.ffn());
    }

    List<Parameter> parameters() {
        return List.of(inputNorm, queries, keys, values, output, postAttentionNorm, gate, up, down);
    }

    /**
     * The layer's output.
     *
     * @param norm for every row which set of norms applies; empty if there is one
     */
    Tensor apply(CallContext context, TokenBatch batch, Tensor rows, Optional<IntTensor> norm, KvView cache) {
        Ops ops = context.ops();
        AttentionShape heads = shape.attention();
        Optional<Ops.Rotation> rotation =
                Optional.of(new Ops.Rotation(batch.position(), heads.headDim(), shape.ropeTheta()));
        List<Ops.Projection> projections = new ArrayList<>();
        projections.add(new Ops.Projection(context.value(queries), rotation));
        if (cache.projects()) {
            projections.add(new Ops.Projection(context.value(keys), rotation));
            projections.add(new Ops.Projection(context.value(values), Optional.empty()));
        }
        List<Tensor> qkv = ops.normedLinears(rows, context.value(inputNorm), norm, shape.normEpsilon(), projections);
        Optional<Tensor> k = cache.projects() ? Optional.of(qkv.get(1)) : Optional.empty();
        Optional<Tensor> v = cache.projects() ? Optional.of(qkv.get(2)) : Optional.empty();
        Tensor attended = cache.attend(heads, qkv.getFirst(), k, v);
        Tensor middle = shape.dropout() == 0
                ? ops.addLinear(rows, attended, context.value(output))
                : ops.add(rows, dropout(context, ops.linear(attended, context.value(output)), "attention"));

        List<Tensor> gateAndUp = ops.normedLinears(
                middle,
                context.value(postAttentionNorm),
                norm,
                shape.normEpsilon(),
                List.of(
                        new Ops.Projection(context.value(gate), Optional.empty()),
                        new Ops.Projection(context.value(up), Optional.empty())));
        if (shape.dropout() == 0) {
            return ops.addGatedLinear(middle, gateAndUp.get(0), gateAndUp.get(1), context.value(down));
        }
        Tensor inner = ops.swiGlu(gateAndUp.get(0), gateAndUp.get(1));
        return ops.add(middle, dropout(context, ops.linear(inner, context.value(down)), "feed-forward"));
    }

    private Tensor dropout(CallContext context, Tensor x, String place) {
        return context.ops().dropout(x, shape.dropout(), context.random("dropout " + index + " " + place));
    }

    /** Multiply-adds of one row's matrix products. */
    long multiplyAddsPerRow(boolean projectsKeysAndValues) {
        AttentionShape heads = shape.attention();
        long projections = 2L * heads.queryWidth() + (projectsKeysAndValues ? 2L * heads.kvWidth() : 0);
        return shape.hidden() * (projections + 3L * shape.ffn());
    }
}
