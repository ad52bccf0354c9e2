package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.mor.runtime.config.ConfigBuilder;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunListener;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.experiment.TrainingRun;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A small model, trained for a short time, learns to predict its selection and leaves no position out (spec 11 item 20): two recursions, sigmoid,
 * alpha 0.1, linear, coefficient 0.001. Of its decisions those of the first recursion are certain, those of the second an even chance before training.
 */
class SmallTrainingTest {

    private static final Path ROOT = Path.of(System.getProperty("mor.project.root", ".."))
            .toAbsolutePath()
            .normalize();

    @TempDir
    private Path folder;

    private ConfigBuilder small(ConfigBuilder config, Path text) {
        return config.with("name", "small")
                .with("runs", folder)
                .with("data.shards", folder.resolve("shards"))
                .with("data.paths", List.of(text.toString()))
                .with("model.layers", 4)
                .with("model.sharing", "middle-cycle")
                .with("model.recursions", 2)
                .with(
                        "router",
                        Map.of(
                                "type",
                                "expert-choice",
                                "architecture",
                                "linear",
                                "function",
                                "sigmoid",
                                "alpha",
                                0.1,
                                "coefficient",
                                0.001))
                .with("backend", Map.of("type", "cpu", "threads", 2))
                .with("training.evaluation", Map.of("every", 0, "batches", 1))
                .with("training.checkpoint.every", 0)
                .with("metrics.sinks", List.of());
    }

    private void assertPredictsItsSelection(ExperimentConfig config, double leastAccuracy) {
        try (Mor mor = Mor.open()) {
            try (TrainingRun run = mor.train(config, RunListener.NONE)) {
                assertTrue(run.run(() -> false).finished());
            }
            try (TrainedModel model = mor.load(folder.resolve("small"))) {
                Map<String, Double> figures =
                        model.evaluate(20, true, note -> {}).figures();
                double accuracy = figures.get("validation-sampling-accuracy");
                double dead = figures.get("validation-dead-token-ratio");
                double depth = figures.get("validation-mean-depth");
                System.out.printf(
                        Locale.ROOT,
                        "sampling accuracy %.4f (at least %.2f), dead tokens %.4f, mean depth %.4f%n",
                        accuracy,
                        leastAccuracy,
                        dead,
                        depth);
                assertTrue(accuracy > leastAccuracy, () -> "accuracy " + accuracy + ", at least " + leastAccuracy);
                assertEquals(0, dead, 0.01, "share of positions that never go on");
                assertEquals(1.5, depth, 0.2, "depths are those of the capacities");
            }
        }
    }

    @Test
    void aShortTrainingPredictsItsSelectionAndLeavesNoPositionOut() {
        ConfigBuilder config = ExperimentConfig.builder().yaml("""
                seed: 3
                model: {hidden: 32, heads: 4, kv-heads: 2, ffn: 96, context: 256}
                training: {steps: 200, batch: 4, learning-rate: 0.003}
                """);
        assertPredictsItsSelection(
                small(config, ROOT.resolve("mor-runtime/src/main/java/**/*.java"))
                        .build(),
                0.88);
    }

    @Test
    void fiveHundredStepsOnTinyShakespearePredictMoreThanNineteenOfTwentyDecisions() {
        Path text = ROOT.resolve("../shared/data/tinyshakespeare/input.txt").normalize();
        assumeTrue(System.getProperty("mor.test.profile", "quick").equals("full"), "in the full profile");
        assumeTrue(Files.isRegularFile(text), text + " is not here");
        ConfigBuilder config = ExperimentConfig.builder()
                .file(ROOT.resolve("examples/configs/shakespeare-vanilla.yaml"))
                .yaml("""
                model: {hidden: 64, ffn: 176}
                training: {steps: 500, learning-rate: 0.002}
                """);
        assertPredictsItsSelection(small(config, text).build(), 0.95);
    }
}
