package io.mor.runtime.flops;

import io.mor.runtime.config.ModelConfig;
import java.util.List;

/**
 * {@code model-flops}: the matrix products really done by Llama layers, two FLOPs a multiply-add. Grouped queries count as they are, causal
 * attention at the rows that visit, and the output head is in; norms, activations, the softmax and the router (less than one part in a
 * thousand) are not.
 *
 * @param layers projections and feed-forward layers, per token, forward
 * @param attention scores and weighted values, per token, forward
 * @param head the output head, per token, forward
 */
public record ModelFlops(double layers, double attention, double head) {

    /**
     * The count per token of sequences of {@code length} tokens.
     *
     * @param vocabulary rows of the output head
     */
    public static ModelFlops of(ModelConfig model, List<LayerVisit> visits, int length, int vocabulary) {
        double hidden = model.hidden();
        double kvWidth = hidden / model.heads() * model.kvHeads();
        double layers = 0;
        double attention = 0;
        for (LayerVisit visit : visits) {
            double projections = 2 * hidden * hidden + (visit.projects() ? 2 * hidden * kvWidth : 0);
            layers += visit.share() * 2 * (projections + 3 * hidden * model.ffn());
            attention += visit.share() * 4 * hidden * visit.visibleKeys(length);
        }
        return new ModelFlops(layers, attention, 2 * hidden * vocabulary);
    }

    /** Forward, per token. */
    public double forward() {
        return layers + attention + head;
    }

    /** Forward and backward, per token: three times forward. */
    public double training() {
        return 3 * forward();
    }
}
