package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.data.DataListener;
import io.mor.runtime.experiment.Mor;
import io.mor.study.StudyDatabase;
import io.mor.study.StudyResults;
import io.mor.study.StudyResults.Point;
import io.mor.study.StudyResults.State;
import io.mor.study.StudyResults.Trial;
import io.mor.study.plan.Planner;
import io.mor.study.plan.StudyFile;
import io.mor.study.plan.StudyPlan;
import io.mor.study.run.StudyFolder;
import io.mor.study.run.StudyProgress;
import io.mor.study.run.StudyRun;
import io.mor.study.run.TrialLauncher;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Studies whose process is killed, or whose disk is full, go on with the same command and end with the same results. */
class StudyKillTest {

    private static final String STUDY = """
            seeds: [1]
            axes: [{grid: {router: [%s]}}]
            evaluate: [{list: [{name: shallow, selector: {type: fixed-depth, depth: 1}}]}]
            """;

    @TempDir
    private Path folder;

    @Test
    void aStudyThatIsKilledAtRandomOrInterruptedEndsWithTheResultsOfAnUndisturbedOne()
            throws IOException, InterruptedException {
        int kills = System.getProperty("mor.test.profile", "quick").equals("full") ? 10 : 1;
        long seed = Long.getLong("mor.test.seed", System.nanoTime());
        System.out.println("study: " + kills + " kills, seed " + seed + " (repeat with -Dmor.test.seed=" + seed + ")");
        Random random = new Random(seed);
        Path study = study("expert-choice, token-choice");

        long begun = System.nanoTime();
        Path undisturbed = folder.resolve("undisturbed");
        assertEquals(0, start(study, undisturbed).waitFor(), () -> log(undisturbed));
        long duration = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun);

        int killed = 0;
        for (int round = 0; killed < kills; round++) {
            Path disturbed = folder.resolve("disturbed-" + round);
            boolean finished = false;
            while (!finished) {
                Process process = start(study, disturbed);
                if (killed < kills && !process.waitFor(random.nextLong(duration), TimeUnit.MILLISECONDS)) {
                    process.destroyForcibly().waitFor();
                    killed++;
                } else {
                    assertEquals(0, process.waitFor(), () -> log(disturbed));
                    finished = true;
                }
            }
            assertEquals(results(undisturbed), results(disturbed));
        }
        interruptAndGoOn(study, undisturbed);
    }

    /** Ctrl-C, which a terminal gives to the command and to the processes of its trials alike. */
    private void interruptAndGoOn(Path study, Path undisturbed) throws IOException, InterruptedException {
        Path interrupted = folder.resolve("interrupted");
        Process process = start(study, interrupted);
        while (process.isAlive() && !anyStepIsDone(interrupted)) {
            Thread.sleep(20);
        }
        assertEquals(
                0,
                new ProcessBuilder("bash", "-c", "kill -INT -- -" + process.pid())
                        .start()
                        .waitFor());
        assertTrue(process.waitFor(60, TimeUnit.SECONDS), () -> log(interrupted));
        assertEquals(130, process.exitValue(), () -> log(interrupted));
        String said = log(interrupted);
        assertTrue(said.contains("stopping: the step under way is finished and saved first"), said);
        assertTrue(said.matches("(?s).*stopped with [0-3] of 4 trials done; the same command goes on.*"), said);
        assertFalse(said.contains("FAILED") || said.contains("\tat "), said);
        List<State> states =
                read(interrupted).trials().stream().map(Trial::state).toList();
        assertTrue(states.stream().allMatch(state -> state == State.DONE || state == State.PENDING), states::toString);
        assertEquals(0, start(study, interrupted).waitFor(), () -> log(interrupted));
        assertEquals(results(undisturbed), results(interrupted));
    }

    private static boolean anyStepIsDone(Path results) throws IOException {
        Path trials = results.resolve("trials");
        if (!Files.isDirectory(trials)) {
            return false;
        }
        try (Stream<Path> each = Files.list(trials)) {
            return each.map(trial -> trial.resolve("metrics.jsonl").toFile()).anyMatch(file -> file.length() > 0);
        }
    }

    @Test
    void aFullDiskIsToldForEachTrialAndNothingIsLost() throws IOException {
        StudyFile study = StudyFile.read(study("expert-choice"), builder -> builder);
        StudyFolder results = new StudyFolder(folder.resolve("results"));
        try (Mor mor = Mor.open()) {
            StudyPlan plan =
                    new Planner(mor, results.path(), "", config -> 1, new DataListener() {}).plan(study, false);
            TrialLauncher processes = new TrialProcesses(Map.of());
            // No file of a trial may grow beyond this, which is what a full disk looks like to a program: a write that
            // fails.
            TrialLauncher full = (place, processors) -> {
                List<String> line = new ArrayList<>(List.of("bash", "-c", "ulimit -f 8; exec \"$@\"", "bash"));
                line.addAll(processes.command(place, processors).line());
                return new TrialLauncher.Command(line, Map.of());
            };
            StudyRun.Summary failed = run(results, plan, full);
            assertEquals(new StudyRun.Summary(0, 2, false), failed);
            for (Trial trial : read(results.path()).trials()) {
                String cause = trial.failure().orElseThrow();
                assertTrue(cause.contains("could not be written") && cause.contains("make room"), cause);
            }
            assertEquals(new StudyRun.Summary(2, 0, false), run(results, plan, processes));
            assertEquals(2, results(results.path()).size());
        }
    }

    private static StudyRun.Summary run(StudyFolder results, StudyPlan plan, TrialLauncher launcher) {
        StudyRun.Options options = new StudyRun.Options(2, Optional.of(launcher), Map.of());
        return StudyRun.run(results, plan, options, StudyProgress.NONE, () -> false);
    }

    private static StudyResults read(Path study) {
        try (StudyDatabase database = StudyDatabase.read(study)) {
            return database.results();
        }
    }

    private Path study(String routers) throws IOException {
        Path study = new StudyFixture(folder).study(STUDY.formatted(routers));
        return Files.writeString(
                study,
                Files.readString(study)
                        .replace("steps: 6", "steps: 30")
                        .replace("checkpoint: {every: 2}", "checkpoint: {every: 5}"));
    }

    private Process start(Path study, Path results) throws IOException {
        List<String> command = List.of(
                "setsid", // a group of its own, as a terminal gives it
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(),
                "ablate",
                study.toString(),
                "--folder",
                results.toString(),
                "--no-calibration",
                "--parallel",
                "2");
        return new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(
                        folder.resolve(results.getFileName() + ".log").toFile()))
                .start();
    }

    private String log(Path results) {
        try {
            return Files.readString(folder.resolve(results.getFileName() + ".log"));
        } catch (IOException e) {
            return e.toString();
        }
    }

    /** Everything but times. */
    private static Map<String, String> results(Path study) {
        StudyResults results = read(study);
        Map<String, String> byTrial = new TreeMap<>();
        for (Trial trial : results.trials()) {
            assertEquals(State.DONE, trial.state(), () -> trial.variant() + trial.failure());
            Map<String, Double> figures = new TreeMap<>(trial.figures());
            figures.keySet().removeIf(StudyKillTest::isTime);
            StringBuilder text = new StringBuilder(figures + " " + trial.depths() + " " + trial.samples());
            trial.series().forEach((name, points) -> {
                if (!isTime(name)) {
                    text.append(' ').append(name);
                    for (Point point : points) {
                        text.append(' ').append(point.step()).append(' ').append(point.value());
                    }
                }
            });
            byTrial.put(trial.id(), text.toString());
        }
        return byTrial;
    }

    private static boolean isTime(String name) {
        return name.endsWith("per-second") || name.endsWith("seconds");
    }
}
