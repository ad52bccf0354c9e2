package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.evaluate.EvaluationReport;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunListener;
import io.mor.runtime.experiment.TrainingRun;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The published best setting does at a very small scale what it is chosen for (spec 11 item 20). After these 205,000 tokens nine selections in ten are
 * predicted; docs/results.md has the figures of a longer training, which pass the 95 % of the specification.
 */
class SmallTrainingTest {

    @TempDir
    private Path folder;

    @Test
    void afterASmallTrainingMostSelectionsArePredictedAndNoPositionIsDead() {
        String sources = Path.of(System.getProperty("mor.project.root", ".."))
                .resolve("mor-runtime/src/main/java")
                .toAbsolutePath()
                .normalize()
                .toString();
        ExperimentConfig config = ExperimentConfig.builder()
                .yaml("""
                    name: small
                    seed: 3
                    runs: %s
                    model: {hidden: 48, layers: 5, heads: 2, kv-heads: 2, ffn: 96, context: 64, sharing: middle-cycle, recursions: 3}
                    router: {type: expert-choice, function: sigmoid, alpha: 0.1, architecture: linear, sampling: aux-loss, coefficient: 0.001}
                    backend: {type: cpu, threads: 2}
                    data: {paths: ['%s/**/*.java'], shards: '%s'}
                    training:
                      steps: 400
                      batch: 8
                      learning-rate: 0.003
                      evaluation: {every: 0, batches: 40}
                      checkpoint: {every: 0}
                    """.formatted(folder, sources, folder.resolve("shards")))
                .build();
        try (Mor mor = Mor.open();
                TrainingRun run = mor.train(config, RunListener.NONE)) {
            assertTrue(run.run(() -> false).finished());
            EvaluationReport report = run.lastEvaluation().orElseThrow();
            Map<String, Double> figures = report.figures();
            System.out.printf(
                    Locale.ROOT,
                    "small training: loss %.3f (full sequence %.3f), sampling accuracy %s, dead positions %.3f, mean"
                            + " depth %.3f%n",
                    figures.get("validation-loss"),
                    figures.get("validation-loss-full-sequence"),
                    report.samplingAccuracy(),
                    report.fullSequence().orElseThrow().deadTokenRatio(),
                    report.causal().meanDepth());
            assertTrue(report.meanSamplingAccuracy().orElseThrow() > 0.9, report::table);
            assertEquals(0, report.causal().deadTokenRatio(), 0.02, report::table);
            assertEquals(0, report.fullSequence().orElseThrow().deadTokenRatio(), 0.02, report::table);
            assertEquals(2, report.causal().meanDepth(), 0.15, "(Nr + 1) / 2");
        }
    }
}
