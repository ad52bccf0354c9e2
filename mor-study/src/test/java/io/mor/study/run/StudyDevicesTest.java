package io.mor.study.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.config.ExperimentConfig;
import io.mor.study.StudyResults.Kind;
import io.mor.study.StudyResults.Plan;
import io.mor.study.plan.PlannedTrial;
import io.mor.study.plan.StudyFile;
import io.mor.study.plan.StudyPlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the processes of trials are started with. */
class StudyDevicesTest {

    @TempDir
    private Path folder;

    private StudyPlan plan(int trials) throws IOException {
        Path file = Files.writeString(folder.resolve("s.yaml"), "study: s\n");
        List<PlannedTrial> planned = IntStream.range(0, trials)
                .mapToObj(i -> new PlannedTrial(
                        "id" + i,
                        Kind.TRAINING,
                        Optional.empty(),
                        "variant " + i,
                        Map.of(),
                        ExperimentConfig.builder().build(),
                        new Plan(1, 1, 1, 1, 1, 1)))
                .toList();
        return new StudyPlan(StudyFile.read(file, builder -> builder), planned, List.of());
    }

    /** Trials that write down the GPUs which they see, the processors that they may use, and say a word of the machine. */
    private Set<String> seen(Devices devices, int parallel, List<String> notes) throws IOException {
        TrialLauncher launcher = (place, processors) -> new TrialLauncher.Command(
                List.of(
                        "sh",
                        "-c",
                        "echo \"$CUDA_VISIBLE_DEVICES of $1\" > $2/seen; echo \"$3\"; sleep 0.2",
                        "sh",
                        Integer.toString(processors),
                        place.toString(),
                        new TrialEvent("note", 0, 0, 0, 0, 0, "backend: auto takes cpu").line()),
                Map.of());
        StudyProgress progress = new StudyProgress() {
            @Override
            public void note(String text) {
                notes.add(text);
            }
        };
        StudyFolder place = new StudyFolder(folder.resolve("results"));
        StudyPlan plan = plan(3);
        StudyRun.Summary summary = StudyRun.run(
                place,
                plan,
                new StudyRun.Options(parallel, Optional.of(launcher), Map.of()),
                devices,
                progress,
                () -> false);
        assertEquals(new StudyRun.Summary(0, 3, false), summary, "they end without an outcome");
        Set<String> seen = new HashSet<>();
        for (PlannedTrial trial : plan.trials()) {
            seen.add(Files.readString(place.trial(trial.id()).path().resolve("seen"))
                    .strip());
        }
        return seen;
    }

    @Test
    void trialsSideBySideSeeAGpuEachAndTheirPartOfTheProcessors() throws IOException {
        assertEquals(
                Set.of("GPU-a of 4", "GPU-b of 4"),
                seen(new Devices(List.of("GPU-a", "GPU-b"), 8), 2, new ArrayList<>()));
    }

    @Test
    void whatEveryTrialSaysOfTheMachineIsToldOnce() throws IOException {
        List<String> notes = new ArrayList<>();
        seen(new Devices(List.of(), 2), 1, notes);
        assertEquals(
                1,
                notes.stream().filter(note -> note.contains("auto takes cpu")).count(),
                notes::toString);
        assertTrue(notes.getFirst().startsWith("variant 0, seed "), notes::toString);
    }
}
