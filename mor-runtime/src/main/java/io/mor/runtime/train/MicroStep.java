package io.mor.runtime.train;

import io.mor.api.backend.Backend;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.data.Batch;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.Weights;
import io.mor.runtime.tape.Recomputation;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A micro-batch forwards and backwards.
 *
 * @param crossEntropy mean loss of the language model, nats per token
 * @param totalLoss with the auxiliary terms
 * @param figures what the parts of the model reported
 */
record MicroStep(double crossEntropy, double totalLoss, Map<String, List<double[]>> figures) {

    /** Adds the gradients of {@code 1 / accumulation} of the loss to those of the weights; values are read when all is done. */
    static MicroStep run(
            MorModel model,
            Weights weights,
            Recomputation recomputation,
            Region region,
            CallProgress progress,
            Batch batch) {
        Backend backend = weights.backend();
        ModelCall call = model.call(region, Phase.TRAINING, weights, progress, recomputation);
        TokenBatch tokens = TokenBatches.ofSequences(region, Collections.nCopies(batch.rows(), batch.context()));
        Tensor rows = model.rows(call, tokens, region.ints(batch.inputs()), model.stepStorage());
        double share = 1.0 / progress.accumulation();
        Tensor loss = call.tape()
                .meanHeadCrossEntropy(rows, weights.value(model.head()), region.ints(batch.targets()), share);
        Optional<Tensor> auxiliary = call.weightedLosses();
        // The language model's own gradients were taken on the way forward; the tape carries them on, with or without
        // other losses.
        call.tape().backward(auxiliary.orElse(loss), share);

        double crossEntropy = backend.readDoubles(loss)[0];
        double others = auxiliary.map(term -> backend.readDoubles(term)[0]).orElse(0.0);
        Map<String, List<double[]>> figures = new LinkedHashMap<>();
        call.losses().forEach((name, terms) -> {
            double sum = terms.stream()
                    .mapToDouble(term -> backend.readDoubles(term)[0])
                    .sum();
            figures.computeIfAbsent(name, key -> new ArrayList<>()).add(new double[] {sum});
        });
        call.metrics()
                .forEach((name, values) -> values.forEach(each ->
                        figures.computeIfAbsent(name, key -> new ArrayList<>()).add(backend.readDoubles(each))));
        return new MicroStep(crossEntropy, crossEntropy + others, figures);
    }
}
