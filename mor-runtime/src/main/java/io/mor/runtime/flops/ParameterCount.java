package io.mor.runtime.flops;

import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.model.LayerPlan;

/**
 * Parameters of a model of Llama layers, routers left out (spec 1.3).
 *
 * @param embedding of the token embedding
 * @param head of an untied output head, else 0
 * @param layers of all layers with parameters of their own and the final norm: the paper's "non-embedding" count
 * @param effective the same with every visit of a layer counted: what a vanilla model of this depth has
 */
public record ParameterCount(long embedding, long head, long layers, long effective) {

    /** The count of a model with {@code vocabulary} token ids. */
    public static ParameterCount of(ModelConfig model, int vocabulary) {
        LayerPlan plan = LayerPlan.of(model);
        long hidden = model.hidden();
        long kvWidth = hidden / model.heads() * model.kvHeads();
        long matrices = 2 * hidden * hidden + 2 * hidden * kvWidth + 3 * hidden * model.ffn();
        long norms = 2 * hidden;
        long normed = model.lnShare() ? plan.physicalLayers() : plan.layers();
        long table = vocabulary * hidden;
        return new ParameterCount(
                table,
                model.tied() ? 0 : table,
                plan.physicalLayers() * matrices + normed * norms + hidden,
                plan.layers() * (matrices + norms) + hidden);
    }

    /** Everything that is stored. */
    public long unique() {
        return embedding + head + layers;
    }
}
