package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.cli.StudyFixture.Said;
import io.mor.runtime.data.DataListener;
import io.mor.runtime.experiment.Mor;
import io.mor.study.StudyDatabase;
import io.mor.study.StudyResults;
import io.mor.study.StudyResults.Kind;
import io.mor.study.StudyResults.State;
import io.mor.study.StudyResults.Trial;
import io.mor.study.plan.Planner;
import io.mor.study.plan.StudyFile;
import io.mor.study.plan.StudyPlan;
import io.mor.study.plan.TrainingRates;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class AblateCommandTest {

    @TempDir
    private Path folder;

    private StudyFixture fixture;

    @BeforeEach
    void makeText() throws IOException {
        fixture = new StudyFixture(folder);
    }

    @Test
    void aStudyIsPlannedRunMeasuredAndRanked() throws IOException {
        Path study = fixture.study("""
                seeds: [1, 2]
                axes:
                  - grid: {router.type: [expert-choice, token-choice]}
                evaluate:
                  - list: [{name: shallow, selector: {type: fixed-depth, depth: 1}}]
                """);
        Said said = fixture.ablate(study);
        assertEquals(0, said.code(), said.err());
        assertTrue(said.out().contains("study small: 8 trials"), said.out());
        StudyResults results = fixture.read();
        assertEquals("small", results.study().name());
        assertEquals(8, results.trials().size());
        for (Trial trial : results.trials()) {
            assertEquals(State.DONE, trial.state(), trial.variant());
            assertTrue(trial.causalLoss().orElseThrow() > 0);
            assertTrue(
                    trial.environment()
                            .keySet()
                            .containsAll(List.of(
                                    "mor",
                                    "java",
                                    "os",
                                    "cpu",
                                    "processors",
                                    "backend",
                                    "plugin io.mor.router.expertchoice",
                                    "plugin io.mor.backend.cpu")),
                    trial.environment().toString());
            assertEquals(12, trial.samples().getFirst().tokens().size());
            assertTrue(trial.figure(StudyResults.DECODING_RATE).orElseThrow() > 0);
            assertTrue(trial.figure(StudyResults.KV_BYTES_PER_TOKEN).orElseThrow() > 0);
        }
        Trial trained = results.trials().getFirst();
        assertEquals(6, trained.series().get("cross-entropy").size());
        assertEquals(2, trained.depths().size());
        assertEquals(6 * 2 * 16, trained.series().get("cross-entropy").getLast().tokens());
        assertEquals(
                trained.plan().modelFlops(),
                trained.series().get("cross-entropy").getLast().modelFlops(),
                1e-6);
        assertEquals(Map.of("router.type", "expert-choice"), trained.axes());
        Trial shallow = results.trials().get(1);
        assertEquals(Kind.EVALUATION, shallow.kind());
        assertEquals(trained.id(), shallow.parent().orElseThrow());
        assertEquals(1.0, shallow.figure("validation-mean-depth").orElseThrow(), 1e-12);
        assertTrue(shallow.samples().getFirst().tokens().stream().allMatch(token -> token.depth() == 1));
        assertTrue(trained.samples().getFirst().tokens().stream()
                .allMatch(token ->
                        token.scores().size() >= token.depth() && token.scores().size() <= 3));

        Said ranking = StudyFixture.mor("results", fixture.results().toString());
        List<String> lines = ranking.out().lines().toList();
        assertTrue(lines.getFirst().startsWith("rank  variant"), ranking.out());
        double best = results.trials().stream()
                .filter(trial -> lines.get(1).contains(trial.variant() + "  "))
                .mapToDouble(trial -> trial.causalLoss().orElseThrow())
                .average()
                .orElseThrow();
        assertTrue(lines.get(1).contains(String.format(Locale.ROOT, "%.4f", best)), ranking.out());
        Said sql = StudyFixture.mor(
                "results", fixture.results().toString(), "--sql", "SELECT count(*) AS trials FROM trial");
        assertEquals("trials\n8\n", sql.out());
        Said where = StudyFixture.mor(
                "results",
                fixture.results().toString(),
                "--sql",
                "SELECT count(DISTINCT trial) AS trials FROM environment WHERE name = 'cpu' AND value <> ''");
        assertEquals("trials\n8\n", where.out(), where.err());
        Path csv = folder.resolve("all.csv");
        assertEquals(
                0,
                StudyFixture.mor("results", fixture.results().toString(), "--csv", csv.toString())
                        .code());
        assertEquals(9, Files.readAllLines(csv).size());
        assertTrue(Files.readAllLines(csv).getFirst().contains("causal_loss"));
    }

    @Test
    void theSameCommandAgainDoesNothingAndAChangedFileRunsOnlyWhatChanged() throws IOException {
        Path first = fixture.study("axes: [{grid: {router: [expert-choice], router.alpha: [0.1, 0.2]}}]\n");
        assertEquals(0, fixture.ablate(first).code());
        Map<String, FileTime> before = outcomes();
        assertEquals(2, before.size());
        assertEquals(0, fixture.ablate(first).code());
        assertEquals(before, outcomes(), "nothing is done twice");

        Path changed = fixture.study("axes: [{grid: {router: [expert-choice], router.alpha: [0.2, 0.3]}}]\n");
        Said said = fixture.ablate(changed);
        assertEquals(0, said.code(), said.err());
        Map<String, FileTime> after = outcomes();
        assertEquals(3, after.size(), "what is not asked for any more stays on the disk");
        before.forEach((trial, time) -> assertEquals(time, after.get(trial), "a trial that stays is not run again"));
        assertEquals(
                List.of("0.2", "0.3"),
                fixture.read().trials().stream()
                        .map(trial -> trial.axes().get("router.alpha"))
                        .toList());
    }

    private Map<String, FileTime> outcomes() throws IOException {
        Map<String, FileTime> times = new TreeMap<>();
        try (var trials = Files.list(fixture.results().resolve("trials"))) {
            for (Path trial : trials.toList()) {
                Path outcome = trial.resolve("outcome.json");
                if (Files.exists(outcome)) {
                    times.put(trial.getFileName().toString(), Files.getLastModifiedTime(outcome));
                }
            }
        }
        return times;
    }

    @Test
    void aTrialThatFailsIsNamedWithItsCauseAndDoesNotStopTheOthers() throws IOException {
        // A learning rate that no number survives.
        Path study = fixture.study(
                "axes: [{grid: {training.learning-rate: [1.0e+30, 0.001]}}]\nevaluate: [{list: [{name: warm, generation.temperature: 1}]}]\n");
        Said said = fixture.ablate(study);
        assertEquals(1, said.code(), said.err());
        List<Trial> trials = fixture.read().trials();
        assertEquals(
                List.of(State.FAILED, State.FAILED, State.DONE, State.DONE),
                trials.stream().map(Trial::state).toList());
        String cause = trials.getFirst().failure().orElseThrow();
        assertTrue(said.err().contains(cause.lines().findFirst().orElseThrow()), said.err());
        assertTrue(
                trials.get(1).failure().orElseThrow().startsWith("its model was not trained"),
                trials.get(1).failure().toString());
        assertFalse(said.err().contains("\tat "), said.err());
    }

    @Test
    void aDryRunShowsThePlanAndLeavesNothingBehind() throws IOException {
        Path study = fixture.study("axes: [{grid: {router: [expert-choice]}}]\nbudget: {tokens: 640}\n");
        Said said = StudyFixture.mor(
                "ablate", study.toString(), "--folder", fixture.results().toString(), "--dry-run");
        assertEquals(0, said.code(), said.err());
        assertTrue(said.out().contains("1 to do, about"), said.out());
        assertTrue(said.out().contains("equal: tokens 640") && said.out().contains("1 trials in"), said.out());
        assertTrue(
                said.out().lines().anyMatch(line -> line.contains("expert-choice") && line.contains("  20  ")),
                said.out());
        assertFalse(Files.exists(fixture.results()));
    }

    @Test
    void badStudiesAreRefusedWithOneMessageEach() {
        assertAll(
                refused("axes: [{grid: {router.alhpa: [1]}}]", "study.yaml", "unknown key 'alhpa'"),
                refused("axes: [{grid: {no-such.key: [1]}}]", "study.yaml", "unknown key 'no-such'"),
                refused("axes: [{grid: {router.type: []}}]", "study.yaml:9", "axis router.type has no values"),
                refused("axes: [{grid: {}}]", "study.yaml:9", "this grid is empty"),
                refused("axes: [{list: []}]", "list is empty"),
                refused("axes: [{zip: {seed: [1, 2], name: [a]}}]", "seed has 2, name has 1"),
                refused("axes: [{square: {seed: [1]}}]", "unknown key 'square'"),
                refused("axes: {seed: [1]}", "axes is a mapping"),
                refused("seeds: []", "seeds is empty"),
                refused("seeds: [one]", "a seed is a whole number"),
                refused("budgets: {steps: 3}", "unknown key 'budgets'", "did you mean 'budget'"),
                refused("budget: {steps: 3, tokens: 4}", "at most one of"),
                refused("budget: {steps: 0}", "budget.steps is 0"),
                refused("axes: [{grid: {training.learning-rate: [fast]}}]", "must be a number"),
                refused("axes: [{grid: {router: [none]}}]\nskip: [{router: none}]", "skip leaves out every point"),
                refused("evaluate: [{grid: {model.hidden: [32]}}]", "model.hidden shapes what is trained"),
                refused(
                        "axes: [{grid: {router: [token-choice], kv-cache: [hybrid]}}]",
                        "kv-cache hybrid goes with router expert-choice only"));
    }

    private Executable refused(String more, String... parts) {
        return () -> {
            Said said = fixture.ablate(fixture.study(more + "\n"));
            assertEquals(2, said.code(), more + ": " + said.err());
            assertEquals("", said.out(), more);
            for (String part : parts) {
                assertTrue(said.err().contains(part), () -> "'" + part + "' in: " + said.err());
            }
            assertEquals(
                    1,
                    said.err().lines().filter(line -> line.startsWith("mor: ")).count(),
                    said.err());
            assertFalse(Files.exists(fixture.results()), "nothing is begun");
        };
    }

    @Test
    void aStudyOfTenThousandTrialsWantsToBeAskedForTwice() throws IOException {
        String hundred = IntStream.rangeClosed(1, 100).boxed().toList().toString();
        Path study = fixture.study("axes: [{grid: {model.hidden: [16], training.steps: " + hundred
                + ", training.batch: " + hundred + "}}]\n");
        Said said = fixture.ablate(study);
        assertEquals(2, said.code());
        assertTrue(said.err().contains("10,000 trials") && said.err().contains("--yes"), said.err());
    }

    @Test
    void aFolderOfAnotherStudyIsLeftAlone() throws IOException {
        Path study = fixture.study("");
        assertEquals(0, fixture.ablate(study).code());
        Files.writeString(study, Files.readString(study).replace("study: small", "study: other"));
        Said said = fixture.ablate(study);
        assertEquals(2, said.code());
        assertTrue(
                said.err().contains("is the folder of study 'small', not of 'other'")
                        && said.err().contains("--folder"),
                said.err());
        assertEquals("small", fixture.read().study().name());
    }

    @Test
    void aSecondProcessOnTheSameFolderIsRefused() throws IOException {
        Path study = fixture.study("");
        Files.createDirectories(fixture.results());
        try (FileChannel held = FileChannel.open(
                        fixture.results().resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                var lock = held.lock()) {
            assertTrue(lock.isValid());
            Said said = fixture.ablate(study);
            assertEquals(1, said.code());
            assertTrue(said.err().contains("in use by another mor ablate"), said.err());
        }
        assertEquals(0, fixture.ablate(study).code());
    }

    @Test
    void aDatabaseThatCannotBeReadIsMadeAgainFromTheTrials() throws IOException {
        Path study = fixture.study("");
        assertEquals(0, fixture.ablate(study).code());
        StudyResults before = fixture.read();
        Path file = fixture.results().resolve(StudyDatabase.FILE);
        Files.write(file, "this is no database any more ".repeat(1000).getBytes(StandardCharsets.UTF_8));
        Map<String, FileTime> outcomes = outcomes();
        Said said = fixture.ablate(study);
        assertEquals(0, said.code(), said.err());
        assertTrue(said.err().contains("cannot be read"), said.err());
        assertEquals(before.trials(), fixture.read().trials());
        assertEquals(outcomes, outcomes(), "no trial was run for it");
        Files.delete(file);
        assertEquals(0, fixture.ablate(study).code());
        assertEquals(before.trials(), fixture.read().trials());
    }

    @Test
    void aDatabaseThatANewerVersionWroteIsLeftAlone() throws IOException {
        Path study = fixture.study("");
        assertEquals(0, fixture.ablate(study).code());
        try (StudyDatabase database = StudyDatabase.write(fixture.results())) {
            database.ask("UPDATE schema_version SET version = 99 RETURNING version");
        }
        for (Said said : List.of(
                fixture.ablate(study),
                StudyFixture.mor("results", fixture.results().toString()))) {
            assertEquals(1, said.code(), said.out());
            assertTrue(said.err().contains("a newer version wrote the study's database"), said.err());
        }
    }

    @Test
    void budgetsHoldEqualWhatTheySay() throws IOException {
        String axes =
                "axes: [{list: [{name: vanilla, model.sharing: none, model.recursions: 1}, {name: routed, router: expert-choice}]}]\n";
        for (String budget : List.of(
                "{model-flops: 1.0e+8}",
                "{paper-flops: 1.0e+8}",
                "{tokens: 3200}",
                "{steps: 7, parameters: {count: 20_000}}")) {
            Said said = fixture.ablate(fixture.study(axes + "budget: " + budget + "\n"), "--dry-run");
            assertEquals(0, said.code(), budget + said.err());
            String[] vanilla = row(said, "vanilla");
            String[] routed = row(said, "routed");
            switch (budget.substring(1, 6)) {
                case "model" -> assertAlike(vanilla[6], routed[6]);
                case "paper" -> assertAlike(vanilla[7], routed[7]);
                case "token" -> assertEquals(vanilla[5] + "3,200", routed[5] + vanilla[5]);
                default -> {
                    assertEquals(vanilla[4] + "7", routed[4] + vanilla[4]);
                    for (String[] each : List.of(vanilla, routed)) {
                        assertEquals(20_000, Long.parseLong(each[3].replace(",", "")), 1000);
                    }
                }
            }
        }
    }

    @Test
    void aBudgetOfSecondsGivesEachVariantTheStepsThatItsRateAllows() throws IOException {
        Path study = fixture.study(
                "axes: [{list: [{name: wide, model.hidden: 32}, {name: narrow}]}]\nseeds: [1, 2]\nbudget: {seconds: 20}\n");
        List<Integer> asked = new ArrayList<>();
        try (Mor mor = Mor.open()) {
            TrainingRates rates = config -> {
                asked.add(config.model().shape().hidden());
                return config.model().shape().hidden() == 32 ? 160 : 320; // tokens per second
            };
            StudyPlan plan = new Planner(mor, fixture.results(), "", rates, new DataListener() {})
                    .plan(StudyFile.read(study, builder -> builder), false);
            int tokensPerStep = 2 * 16;
            assertEquals(
                    List.of(
                            20 * 160 / tokensPerStep,
                            20 * 160 / tokensPerStep,
                            20 * 320 / tokensPerStep,
                            20 * 320 / tokensPerStep),
                    plan.trials().stream()
                            .map(trial -> trial.config().training().steps())
                            .toList());
        }
        assertEquals(List.of(32, 16), asked, "each variant is measured once, not once a seed");
    }

    /** As near as whole steps come. */
    private static void assertAlike(String one, String other) {
        assertEquals(Double.parseDouble(one), Double.parseDouble(other), 0.02 * Double.parseDouble(one));
    }

    private static String[] row(Said said, String variant) {
        String line = said.out()
                .lines()
                .filter(each -> each.contains("  " + variant + "  "))
                .findFirst()
                .orElseThrow();
        return line.split(" {2,}");
    }
}
