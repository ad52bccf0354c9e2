package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.config.ExperimentConfig;
import io.mor.study.StudyResults.Kind;
import io.mor.study.StudyResults.Plan;
import io.mor.study.StudyResults.State;
import io.mor.study.plan.PlannedTrial;
import io.mor.study.plan.StudyFile;
import io.mor.study.plan.StudyPlan;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StudyTableTest {

    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private long now = 1;

    @TempDir
    private Path folder;

    private StudyPlan plan(int trials) throws IOException {
        Path file = Files.writeString(folder.resolve("s.yaml"), "study: s\n");
        List<PlannedTrial> planned = IntStream.rangeClosed(1, trials)
                .mapToObj(i -> new PlannedTrial(
                        "id" + i,
                        Kind.TRAINING,
                        Optional.empty(),
                        "variant " + i,
                        Map.of(),
                        ExperimentConfig.builder().build(),
                        new Plan(1, 100, 1000, 1, 1, 1)))
                .toList();
        return new StudyPlan(StudyFile.read(file, builder -> builder), planned, List.of());
    }

    private StudyTable table(StudyPlan plan, boolean terminal) {
        PrintStream to = new PrintStream(err, true, StandardCharsets.UTF_8);
        return new StudyTable(new Console(to, to, false, false, terminal, 100, OptionalLong.empty()), plan, () -> now);
    }

    private String said() {
        String text = err.toString(StandardCharsets.UTF_8);
        err.reset();
        return text;
    }

    @Test
    void withoutATerminalEachChangeIsALineAndProgressComesNowAndThen() throws IOException {
        StudyPlan plan = plan(2);
        try (StudyTable table = table(plan, false)) {
            table.state(plan.trials().get(0), State.RUNNING, "");
            assertEquals("[1/2] variant 1, seed 1: begins\n", said());
            table.step(plan.trials().get(0), 10, 100, 2.5, 1234, 65);
            assertEquals("", said(), "not so soon");
            now += 30_000_000_000L;
            table.step(plan.trials().get(0), 20, 100, 2.25, 1234, 65);
            assertEquals(
                    "[1/2] variant 1, seed 1: [##........] 20/100  loss 2.250  1,234 tokens/s  ETA 1:05\n", said());
            table.evaluated(plan.trials().get(0), 20, 2.5);
            table.state(plan.trials().get(0), State.DONE, "");
            assertEquals("[1/2] variant 1, seed 1: done  validation 2.5000\n", said());
            table.state(plan.trials().get(1), State.FAILED, "no luck");
            assertEquals("[2/2] variant 2, seed 1: FAILED: no luck\n", said());
        }
        assertEquals("", said());
    }

    @Test
    void onATerminalEveryTrialHasARowThatIsWrittenOver() throws IOException {
        StudyPlan plan = plan(3);
        try (StudyTable table = table(plan, true)) {
            table.state(plan.trials().get(0), State.DONE, "");
            String first = said();
            assertTrue(first.startsWith("1 done, 0 running, 2 waiting, 0 failed of 3\n"), first);
            assertEquals(4, first.lines().count());
            table.state(plan.trials().get(1), State.RUNNING, "");
            now += 1_000_000_000L;
            table.step(plan.trials().get(1), 50, 100, 2.25, 1234, 65);
            String later = said();
            assertTrue(later.contains("\u001b[4A\u001b[J"), "goes up over the rows before");
            assertTrue(later.contains("[2/3] variant 2, seed 1   [#####.....] 50/100  loss 2.250"), later);
            table.state(plan.trials().get(1), State.FAILED, "no luck");
            assertTrue(
                    said().contains("[2/3] variant 2, seed 1: FAILED: no luck\n"), "the cause stays above the table");
        }
    }

    @Test
    void aTableOfManyTrialsShowsThoseAroundTheRunningOnes() throws IOException {
        StudyPlan plan = plan(300);
        try (StudyTable table = table(plan, true)) {
            table.state(plan.trials().get(149), State.RUNNING, "");
            String text = said();
            assertEquals(21, text.lines().count(), text);
            assertTrue(text.contains("[150/300]"), text);
            assertFalse(text.contains("[1/300]"), text);
        }
    }
}
