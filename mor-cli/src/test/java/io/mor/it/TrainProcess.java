package io.mor.it;

import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunListener;
import io.mor.runtime.experiment.TrainingRun;
import java.nio.file.Files;
import java.nio.file.Path;

/** A training process that a test can kill: begins the run of a config, or resumes it if it has begun. */
final class TrainProcess {

    private TrainProcess() {}

    /** Arguments: config file, run folder. */
    public static void main(String[] arguments) {
        Path folder = Path.of(arguments[1]);
        try (Mor mor = Mor.open();
                TrainingRun run = Files.exists(folder.resolve("config.yaml"))
                        ? mor.resume(folder, config -> config, RunListener.NONE)
                        : mor.train(ExperimentConfig.load(Path.of(arguments[0])), RunListener.NONE)) {
            run.run(() -> false);
        }
    }
}
