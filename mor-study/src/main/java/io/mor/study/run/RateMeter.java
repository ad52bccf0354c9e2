package io.mor.study.run;

import io.mor.runtime.MorException;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunListener;
import io.mor.runtime.experiment.TrainingRun;
import io.mor.runtime.train.StepReport;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** Measures how fast this machine trains a config, by training it for a few seconds; nothing of it is kept. */
final class RateMeter {

    private static final int PLENTY_OF_STEPS = 1_000_000;

    private RateMeter() {}

    /** Ends a training that has told enough. */
    private static final class Enough extends RuntimeException {
        private static final long serialVersionUID = 1;

        private final double tokensPerSecond;

        Enough(double tokensPerSecond) {
            super("measured", null, false, false);
            this.tokensPerSecond = tokensPerSecond;
        }
    }

    static double tokensPerSecond(Mor mor, ExperimentConfig config) {
        try {
            Path folder = Files.createTempDirectory("mor-rate");
            try {
                return measure(mor, config, folder);
            } finally {
                delete(folder);
            }
        } catch (IOException e) {
            throw new MorException("the rate of training cannot be measured: " + e.getMessage(), e);
        }
    }

    private static double measure(Mor mor, ExperimentConfig config, Path folder) {
        ExperimentConfig brief = config.with("name", "rate")
                .with("runs", folder.toString())
                .with("metrics.sinks", List.of())
                .with("training.steps", PLENTY_OF_STEPS)
                .with("training.schedule.warmup-steps", 1)
                .with("training.log.every", 1)
                .with("training.evaluation.every", 0)
                .with("training.checkpoint.every", 0);
        long tokensPerStep = (long) config.training().batch()
                * config.training().accumulation()
                * config.model().shape().context();
        StepTimes times = new StepTimes();
        RunListener listener = new RunListener() {
            private long before = System.nanoTime();

            @Override
            public void onStep(StepReport report) {
                long now = System.nanoTime();
                times.add((now - before) * 1e-9).ifPresent(seconds -> {
                    throw new Enough(tokensPerStep / seconds);
                });
                before = now;
            }
        };
        try (TrainingRun run = mor.train(brief, listener)) {
            run.run(() -> false);
            throw new MorException("the rate of training was not measured");
        } catch (Enough enough) {
            return enough.tokensPerSecond;
        }
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> inside = Files.walk(folder)) {
            inside.sorted(Comparator.reverseOrder()).forEach(path -> {
                try {
                    Files.delete(path);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        }
    }
}
