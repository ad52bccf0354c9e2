package io.mor.runtime.experiment;

import io.mor.api.backend.Backend;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.config.ExtensionConfig;
import io.mor.runtime.conformance.Conformance;
import io.mor.runtime.conformance.ConformanceResult;
import io.mor.runtime.conformance.GoldenCase;
import io.mor.runtime.data.DataListener;
import io.mor.runtime.plugin.ExtensionFactory;
import io.mor.runtime.plugin.PluginCatalog;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/**
 * The way into mor for a host program: finds plugins, trains, loads what was trained. Closing it drops plugin layers and loaders; what it made should be
 * closed before. It writes nothing but run folders and token shards, prints nothing and leaves no thread behind.
 *
 * <p>Thread safety: runs made by one instance are independent and may be used on different threads, each on one at a time.
 */
public final class Mor implements AutoCloseable {

    private final PluginCatalog catalog;

    private Mor(PluginCatalog catalog) {
        this.catalog = catalog;
    }

    /** With the plugins on the module path or class path. */
    public static Mor open() {
        return open(List.of());
    }

    /** With the plugins on the module path or class path and those in folders. */
    public static Mor open(List<Path> pluginFolders) {
        return new Mor(PluginCatalog.discover(pluginFolders));
    }

    /**
     * With the plugins of a catalog and no others, for a host that makes its plugins itself.
     *
     * @param catalog closed with this
     */
    public static Mor of(PluginCatalog catalog) {
        return new Mor(Objects.requireNonNull(catalog, "catalog is null"));
    }

    /** The plugins found. */
    public PluginCatalog catalog() {
        return catalog;
    }

    /**
     * Prepares a new training run.
     *
     * @throws io.mor.runtime.UsageException if the config or the data is wrong, or the run exists
     */
    public TrainingRun train(ExperimentConfig config, RunListener listener) {
        return TrainingRun.begin(catalog, config, listener);
    }

    /**
     * Prepares a training run to go on where its last whole checkpoint stands.
     *
     * @param run its folder
     * @param change changes to its config, for example more steps; may return its argument
     */
    public TrainingRun resume(Path run, UnaryOperator<ExperimentConfig> change, RunListener listener) {
        return TrainingRun.resume(catalog, run, change, listener);
    }

    /** Loads the last whole checkpoint of a run as it was trained, on the backend that its config names. What is worth knowing is passed over. */
    public TrainedModel load(Path run) {
        return load(run, UnaryOperator.identity(), note -> {});
    }

    /**
     * Loads the last whole checkpoint of a run, for evaluation and generation.
     *
     * @param run its folder
     * @param change changes to its config, for example another backend or selector; may return its argument
     * @param notes is told what is worth knowing
     */
    public TrainedModel load(Path run, UnaryOperator<ExperimentConfig> change, Consumer<String> notes) {
        return TrainedModel.load(catalog, run, change, notes);
    }

    /**
     * Makes a config ready to be trained without training it: a tokenizer that learns its vocabulary from the text learns it, the text is tokenised
     * if that has not been done, and what is missing is found now.
     *
     * @throws io.mor.runtime.UsageException if the config or the data is wrong
     */
    public PreparedExperiment prepare(ExperimentConfig config, DataListener listener) {
        return PreparedExperiment.of(catalog, config, listener);
    }

    /**
     * What a config would cost; nothing is trained, no device is needed.
     *
     * @param config with a vocabulary, as {@link #prepare} gives it
     * @throws io.mor.runtime.UsageException if the config is wrong, or has no vocabulary
     */
    public ExperimentCost cost(ExperimentConfig config) {
        return ExperimentCost.of(catalog, config);
    }

    /**
     * Makes a run folder of a llama2.c model.
     *
     * @param model a version 0 file; a negative vocabulary size in it means that the head is not tied
     * @param tokenizer its tokenizer file, copied into the run; empty for a model that works on ids alone
     * @param out the run folder, which must not be one yet
     */
    public RunFolder importLlama2c(Path model, Optional<Path> tokenizer, Path out) {
        return LlamaImport.run(catalog, model, tokenizer, out);
    }

    /**
     * Runs golden cases.
     *
     * @param cases their folders
     * @param each is told every result as it is there
     */
    public List<ConformanceResult> conformance(
            List<Path> cases, ExtensionConfig backend, Consumer<ConformanceResult> each) {
        List<ConformanceResult> results = new ArrayList<>();
        try (ExtensionFactory factory = new ExtensionFactory(catalog)) {
            Parts parts = new Parts(factory);
            try (Backend device = parts.backend(backend, note -> {})) {
                Conformance conformance = new Conformance(device, parts.conformance());
                for (Path folder : cases) {
                    ConformanceResult result = conformance.run(GoldenCase.read(folder));
                    results.add(result);
                    each.accept(result);
                }
            }
        }
        return results;
    }

    @Override
    public void close() {
        catalog.close();
    }
}
