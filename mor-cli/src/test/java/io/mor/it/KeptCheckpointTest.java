package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.UsageException;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunListener;
import io.mor.runtime.experiment.TrainingRun;
import io.mor.runtime.train.StepReport;
import io.mor.runtime.train.TrainingMemory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoints at fractions of a run stay (spec 5.3), and a run that goes on from one has the same curve (spec 11 item 18). */
class KeptCheckpointTest {

    @TempDir
    private Path folder;

    private ExperimentConfig config(String name) throws IOException {
        Path text = folder.resolve("text.txt");
        Files.writeString(
                text,
                IntStream.range(0, 900)
                        .mapToObj(i -> "line " + i * 7919 % 1013 + "\n")
                        .collect(Collectors.joining()));
        return ExperimentConfig.builder()
                .yaml("""
                    name: %s
                    runs: %s
                    model: {hidden: 16, layers: 5, heads: 2, kv-heads: 1, ffn: 24, context: 16, sharing: middle-cycle, recursions: 3}
                    router: {type: expert-choice, capacity-warmup-steps: 6}
                    backend: {type: cpu, threads: 1}
                    data: {paths: ['%s'], shards: '%s'}
                    training:
                      steps: 10
                      batch: 2
                      schedule: {warmup-steps: 2}
                      evaluation: {every: 0, batches: 1}
                      checkpoint: {every: 1, keep: 2, at: [0.3, 0.8]}
                      log: {every: 1}
                    """.formatted(name, folder, text, folder.resolve("shards")))
                .build();
    }

    private static List<Double> losses(TrainingRun run, List<StepReport> reports) {
        run.run(() -> false);
        return reports.stream().map(StepReport::totalLoss).toList();
    }

    private static RunListener into(List<StepReport> reports) {
        return new RunListener() {
            @Override
            public void onStep(StepReport report) {
                reports.add(report);
            }
        };
    }

    @Test
    void checkpointsAtFractionsStayAndGoOnAsRunsOfTheirOwnWithTheSameCurve() throws IOException {
        List<StepReport> reports = new ArrayList<>();
        List<Double> whole;
        try (Mor mor = Watched.mor();
                TrainingRun run = mor.train(config("whole"), into(reports))) {
            TrainingMemory told = run.memory();
            whole = losses(run, reports);
            assertTrue(told.activations() > 0 && told.activations() < told.activationsWithoutReuse(), told::toString);
            assertTrue(
                    run.activationBytes() <= told.activations() + 512,
                    "capacities fall while they warm up, so the first step holds the most");
        }
        Path checkpoints = folder.resolve("whole/checkpoints");
        try (Stream<Path> left = Files.list(checkpoints)) {
            assertEquals(
                    List.of("step-00000003", "step-00000008", "step-00000009", "step-00000010"),
                    left.map(path -> path.getFileName().toString()).sorted().toList());
        }
        List<StepReport> after = new ArrayList<>();
        try (Mor mor = Watched.mor();
                TrainingRun branch = mor.resume(
                        checkpoints.resolve("step-00000008"), config -> config.with("name", "branch"), into(after))) {
            assertEquals(8, branch.step());
            assertEquals(whole.subList(8, 10), losses(branch, after), "the same curve to the last bit");
        }
        assertArrayEquals(
                Files.readAllBytes(checkpoints.resolve("step-00000010/model.safetensors")),
                Files.readAllBytes(folder.resolve("branch/checkpoints/step-00000010/model.safetensors")));
        try (Mor mor = Watched.mor()) {
            UsageException taken = assertThrows(
                    UsageException.class,
                    () -> mor.resume(checkpoints.resolve("step-00000008"), config -> config, RunListener.NONE));
            assertTrue(taken.getMessage().contains("-s name="), taken.getMessage());
        }
    }
}
