package io.mor.cli;

import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunFolder;
import io.mor.runtime.experiment.TrainedModel;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.UnaryOperator;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** The run that a command loads, and what it changes in its config. */
final class LoadOptions {

    @Parameters(index = "0", paramLabel = "RUN", description = "Run folder, as train, quickstart and import make it.")
    private Path run;

    @Mixin
    private ConfigOptions config;

    /** The run folder. */
    Path run() {
        return run;
    }

    /** What a command does with a loaded model. */
    @FunctionalInterface
    interface Work {
        int apply(Mor mor, TrainedModel model);
    }

    /** Loads the last checkpoint, works with it, and closes everything. */
    int withModel(Console console, Work work) {
        return withModel(console, config.changes(), work);
    }

    /** As {@link #withModel}, without the run's tokenizer, which may have gone. */
    int withModelOfIds(Console console, Work work) {
        return withModel(
                console, saved -> config.changes().apply(saved).with("tokenizer", Map.of("type", "none")), work);
    }

    private int withModel(Console console, UnaryOperator<ExperimentConfig> changes, Work work) {
        ExperimentConfig saved = ExperimentConfig.load(RunFolder.existing(run).config());
        try (Mor mor = config.open(saved);
                TrainedModel model = mor.load(run, changes, console::say)) {
            return work.apply(mor, model);
        }
    }
}
