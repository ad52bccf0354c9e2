package io.mor.runtime.experiment;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Parameter;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.ConfigBuilder;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.importer.ImportedWeight;
import io.mor.runtime.importer.Llama2cFile;
import io.mor.runtime.importer.LlamaShape;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.Weights;
import io.mor.runtime.plugin.ExtensionFactory;
import io.mor.runtime.plugin.PluginCatalog;
import io.mor.runtime.train.Checkpoint;
import io.mor.runtime.train.TrainingState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/** Makes a run folder of a llama2.c model. */
final class LlamaImport {

    /** In an option of a config: the run folder, wherever it is when the run is loaded. */
    static final String RUN_FOLDER = "${run}";

    private LlamaImport() {}

    static RunFolder run(PluginCatalog catalog, Path model, Optional<Path> tokenizer, Path out) {
        RunFolder folder = new RunFolder(out);
        if (folder.exists()) {
            throw new UsageException("--out: " + out + " is a run folder already; give another");
        }
        if (!Files.isRegularFile(model)) {
            throw new UsageException("there is no file " + model);
        }
        try (Llama2cFile file = Llama2cFile.open(model);
                ExtensionFactory factory = new ExtensionFactory(catalog)) {
            ExperimentConfig config = config(file.shape(), out, tokenizer).resolve(catalog);
            Parts parts = new Parts(factory);
            if (tokenizer
                    .isPresent()) { // a damaged one is found now, not at the first use, and before anything is written
                parts.tokenizer(config.with("tokenizer.path", tokenizer.get().toString())
                                .tokenizer())
                        .close();
            }
            MorModel built = parts.model(config);
            try (Backend backend = parts.backend(config.backend(), note -> {});
                    Weights weights = new Weights(backend, built.statefulParts())) {
                for (Parameter parameter : weights.parameters()) {
                    ImportedWeight weight = file.weight(parameter.name());
                    if (weight.values().length != parameter.rows() * parameter.columns()) {
                        throw new MorException(model + ": tensor " + parameter.name() + " has shape " + weight.shape()
                                + ", expected [" + parameter.rows() + ", " + parameter.columns() + "]");
                    }
                    backend.write(weights.value(parameter), weight.values());
                }
                Files.createDirectories(out);
                if (tokenizer.isPresent()) {
                    Files.copy(tokenizer.get(), out.resolve("tokenizer.bin"));
                }
                Checkpoint.save(
                        folder.checkpoints(),
                        new TrainingState(0, 0, 0, 0),
                        weights,
                        Optional.empty(),
                        config.toYaml(),
                        false);
                folder.create(config.toYaml());
                return folder;
            }
        } catch (IOException e) {
            throw new MorException("import: " + e.getMessage(), e);
        }
    }

    private static ExperimentConfig config(LlamaShape shape, Path out, Optional<Path> tokenizer) {
        ConfigBuilder config = ExperimentConfig.builder()
                .with("name", out.getFileName().toString())
                .with("model.vocabulary", shape.vocabulary())
                .with("model.hidden", shape.hidden())
                .with("model.layers", shape.layers())
                .with("model.heads", shape.heads())
                .with("model.kv-heads", shape.kvHeads())
                .with("model.ffn", shape.ffn())
                .with("model.context", shape.context())
                .with("model.tied", shape.tied())
                .with("model.norm-epsilon", shape.normEpsilon())
                .with("model.rope-theta", shape.ropeTheta())
                .with(
                        "tokenizer",
                        tokenizer.isPresent()
                                ? Map.of("type", "llama2c", "path", RUN_FOLDER + "/tokenizer.bin")
                                : Map.of("type", "none"));
        return config.build();
    }

    /** A config whose options name the run folder where it is now. */
    static ExperimentConfig inRun(ExperimentConfig config, Path folder) {
        ExperimentConfig placed = config;
        for (Map.Entry<String, Object> option : config.tokenizer().options().entrySet()) {
            if (option.getValue() instanceof String text && text.contains(RUN_FOLDER)) {
                placed = placed.with("tokenizer." + option.getKey(), text.replace(RUN_FOLDER, folder.toString()));
            }
        }
        return placed;
    }
}
