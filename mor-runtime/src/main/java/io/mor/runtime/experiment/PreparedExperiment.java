package io.mor.runtime.experiment;

import io.mor.api.data.Tokenizer;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.data.DataListener;
import io.mor.runtime.plugin.ExtensionFactory;
import io.mor.runtime.plugin.PluginCatalog;

/**
 * A config whose text is tokenised and whose vocabulary is known.
 *
 * @param config resolved
 * @param trainingTokens of the text to train on
 * @param hasValidation whether there is validation text of at least one row
 */
public record PreparedExperiment(ExperimentConfig config, long trainingTokens, boolean hasValidation) {

    static PreparedExperiment of(PluginCatalog catalog, ExperimentConfig given, DataListener listener) {
        ExperimentConfig resolved = given.resolve(catalog);
        try (ExtensionFactory factory = new ExtensionFactory(catalog)) {
            TrainingData.Prepared prepared =
                    TrainingData.prepare(new Parts(factory).tokenizer(resolved.tokenizer()), resolved, listener);
            try (Tokenizer tokenizer = prepared.tokenizer()) {
                ExperimentConfig config =
                        Parts.withVocabulary(prepared.config(), tokenizer).resolve(catalog);
                try (TrainingData data = TrainingData.open(config, tokenizer, listener)) {
                    data.training();
                    return new PreparedExperiment(config, data.trainingTokens().size(), data.hasValidation());
                }
            }
        }
    }
}
