package io.mor.study.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.study.StudyResults;
import io.mor.study.StudyResults.DepthHistogram;
import io.mor.study.StudyResults.Kind;
import io.mor.study.StudyResults.Plan;
import io.mor.study.StudyResults.Point;
import io.mor.study.StudyResults.State;
import io.mor.study.StudyResults.Trial;
import io.mor.study.plan.Measures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrialCollectorTest {

    private static final TrialSpec SPEC = new TrialSpec(
            "abc",
            Kind.TRAINING,
            Optional.empty(),
            "a variant",
            Map.of(),
            1,
            "name: abc\n",
            new Plan(10, 4, 400, 4000, 1000, 8),
            new Measures(0, 0, 1, 0));

    @TempDir
    private Path path;

    private Trial collect(boolean running, Optional<String> failure) {
        return TrialCollector.collect(new TrialFolder(path), SPEC, running, failure);
    }

    @Test
    void secondsAreWhatTheRatesSayAndHalfALineIsLeftOut() throws IOException {
        Files.writeString(path.resolve("metrics.jsonl"), """
                {"step":0,"cross-entropy":5.0,"tokens":100,"tokens-per-second":100}
                {"step":1,"validation-loss":4.5,"validation-depth-share-0":0,"validation-depth-share-1":0.25,"validation-depth-share-2":0.75,"validation-perplexity":null}
                {"step":2,"cross-entropy":4.0,"tokens":300,"tokens-per-second":50}
                {"step":3,"cross-ent""");
        Trial trial = collect(true, Optional.empty());
        assertEquals(State.RUNNING, trial.state());
        assertEquals(
                List.of(new Point(0, 100, 1000, 250, 1, 5), new Point(2, 300, 3000, 750, 5, 4)),
                trial.series().get("cross-entropy"));
        assertEquals(
                List.of(new Point(1, 200, 2000, 500, 2, 4.5)), trial.series().get("validation-loss"));
        assertEquals(List.of(new DepthHistogram(1, List.of(0.0, 0.25, 0.75))), trial.depths());
        assertFalse(trial.series().containsKey("validation-perplexity"), "what was not finite has no point");
        assertEquals(Map.of(), trial.figures());
    }

    @Test
    void aTrialIsPendingThenFailedOrDoneAsItsFolderSays() {
        TrialFolder folder = new TrialFolder(path);
        folder.writeSpec(SPEC);
        assertEquals(Optional.of(SPEC), folder.spec());
        assertEquals(State.PENDING, collect(false, Optional.empty()).state());
        folder.writeFailure("no luck");
        assertEquals(Optional.of("no luck"), collect(false, Optional.empty()).failure());
        assertEquals(State.FAILED, collect(false, Optional.empty()).state());
        folder.writeOutcome(new TrialOutcome(
                SPEC.measures(), Map.of(StudyResults.CAUSAL_LOSS, 2.5), Map.of("java", "25"), List.of()));
        Trial done = collect(false, Optional.empty());
        assertEquals(State.DONE, done.state());
        assertEquals(2.5, done.causalLoss().orElseThrow());
        assertEquals(Optional.empty(), done.failure());
        TrialSpec other = new TrialSpec(
                "abc",
                Kind.TRAINING,
                Optional.empty(),
                "a variant",
                Map.of(),
                1,
                "name: abc\n",
                SPEC.plan(),
                new Measures(5, 0, 1, 0));
        assertTrue(folder.outcome(other).isEmpty(), "what was measured otherwise does not count");
    }

    @Test
    void severalGpusAreSharedOutAndProcessorsAreDivided() {
        Devices two = new Devices(List.of("0", "3"), 16);
        assertEquals(Map.of("CUDA_VISIBLE_DEVICES", "0"), two.environment(0));
        assertEquals(Map.of("CUDA_VISIBLE_DEVICES", "3"), two.environment(1));
        assertEquals(Map.of("CUDA_VISIBLE_DEVICES", "0"), two.environment(2));
        assertEquals(5, two.processorsOf(3));
        assertEquals(Map.of(), new Devices(List.of("0"), 1).environment(1));
        assertEquals(1, new Devices(List.of(), 1).processorsOf(4));
    }

    @Test
    void eventsSurviveTheWayThroughAPipeAndOtherOutputIsNone() {
        TrialEvent step = new TrialEvent("step", 3, 10, Double.NaN, 12.5, 1, "");
        assertEquals(Optional.of(step), TrialEvent.of(step.line()));
        assertEquals(Optional.empty(), TrialEvent.of("{not an event"));
        assertEquals(Optional.empty(), TrialEvent.of("a line of a library"));
    }
}
