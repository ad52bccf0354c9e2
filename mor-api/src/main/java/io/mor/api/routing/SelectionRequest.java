package io.mor.api.routing;

import io.mor.api.plugin.Stability;
import io.mor.api.tensor.Tensor;
import java.util.Objects;
import java.util.Optional;

/**
 * What a selector decides on: candidates at one recursion.
 *
 * @param batch the candidates
 * @param recursion which recursion they may enter, from 1
 * @param scores {@code [rows, 1]}: the router's logits
 * @param predictions logits of an auxiliary predictor of the selection, {@code [rows, 1]}
 * @param capacity the fraction of the sequence that this recursion should take, in (0, 1]
 * @param previousCapacity the fraction that the recursion before took; 1 at recursion 1
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record SelectionRequest(
        TokenBatch batch,
        int recursion,
        Tensor scores,
        Optional<Tensor> predictions,
        double capacity,
        double previousCapacity) {

    /** Checks for null. */
    public SelectionRequest {
        Objects.requireNonNull(batch, "batch is null");
        Objects.requireNonNull(scores, "scores is null");
        Objects.requireNonNull(predictions, "predictions is null");
    }
}
