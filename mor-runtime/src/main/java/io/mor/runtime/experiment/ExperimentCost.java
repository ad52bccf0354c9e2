package io.mor.runtime.experiment;

import io.mor.api.routing.Router;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.config.TrainingConfig;
import io.mor.runtime.flops.KvCost;
import io.mor.runtime.flops.LayerVisit;
import io.mor.runtime.flops.LayerVisits;
import io.mor.runtime.flops.ModelFlops;
import io.mor.runtime.flops.PaperFlops;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.plugin.ExtensionFactory;
import io.mor.runtime.plugin.PluginCatalog;
import java.util.List;
import java.util.Optional;

/**
 * What an experiment costs, by formula.
 *
 * @param config resolved
 * @param parameters unique parameters, the router's among them
 * @param modelFlopsPerToken of training, forward and backward
 * @param paperFlopsPerToken forward alone, as the paper counts
 * @param kvBytesPerToken keys and values of a token in generation, in 32-bit floats
 * @param tokensPerStep of an optimizer step
 */
public record ExperimentCost(
        ExperimentConfig config,
        long parameters,
        double modelFlopsPerToken,
        double paperFlopsPerToken,
        double kvBytesPerToken,
        long tokensPerStep) {

    private static final int BYTES_PER_ELEMENT = 4;

    static ExperimentCost of(PluginCatalog catalog, ExperimentConfig given) {
        ExperimentConfig config = given.resolve(catalog);
        ModelConfig shape = config.model().shape();
        if (shape.vocabulary() == 0) {
            throw new UsageException("model.vocabulary is 0, the tokenizer's: prepare the experiment first");
        }
        try (ExtensionFactory factory = new ExtensionFactory(catalog)) {
            MorModel model = new Parts(factory).model(config);
            Optional<Router> router = model.isRouted() ? Optional.of(model.router()) : Optional.empty();
            List<LayerVisit> visits = LayerVisits.of(shape, model.cache(), router);
            long parameters = model.statefulParts().stream()
                    .flatMap(part -> part.parameters().stream())
                    .mapToLong(parameter -> (long) parameter.rows() * parameter.columns())
                    .sum();
            TrainingConfig training = config.training();
            return new ExperimentCost(
                    config,
                    parameters,
                    ModelFlops.of(shape, visits, shape.context(), shape.vocabulary())
                            .training(),
                    PaperFlops.perToken(shape, visits, shape.context()),
                    KvCost.of(visits).bytesPerToken(shape, BYTES_PER_ELEMENT),
                    (long) training.batch() * training.accumulation() * shape.context());
        }
    }
}
