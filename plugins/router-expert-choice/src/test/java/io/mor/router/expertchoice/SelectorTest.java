package io.mor.router.expertchoice;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Selector;
import io.mor.api.tensor.Phase;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.testkit.RouterBench;
import io.mor.testkit.SelectorBench;
import io.mor.testkit.SelectorBench.Question;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The selectors against closed forms (spec 2.7, 9.3). */
class SelectorTest {

    private final ReferenceBackend backend = new ReferenceBackend();

    @AfterEach
    void closeBackend() {
        backend.close();
    }

    private SelectorBench bench(Function<ModelShape, Selector> selector) {
        return new SelectorBench(backend, selector);
    }

    private SelectorBench emaBench(double decay) {
        return bench(shape -> new EmaCutoffSelector(new EmaCutoffConfig(decay), shape));
    }

    private static double[] cutoffs(SelectorBench bench) {
        return bench.read(bench.selector().cutoffs().orElseThrow());
    }

    @Test
    void aThresholdTakesZeroItself() {
        try (SelectorBench bench = bench(shape -> new LogitThresholdSelector())) {
            assertArrayEquals(
                    new double[] {1, 1, 0, 0}, bench.select(Question.of(2, List.of(4), 0, 3, -1e-12, Double.NaN)));
        }
        try (SelectorBench bench = bench(shape -> new AuxiliaryRouterSelector())) {
            assertArrayEquals(
                    new double[] {0, 1, 1},
                    bench.select(Question.of(3, List.of(3), 5, -5, -5).predicting(-0.1, 0, 2)));
        }
    }

    @Test
    void theFirstObservationIsTheCutOff() {
        try (SelectorBench bench = emaBench(0.99)) {
            assertArrayEquals(new double[] {0, 0, 0}, cutoffs(bench));
            // Sequences of 3 and 4 candidates: middles (2 + 1) / 2 and (0.5 - 1) / 2.
            bench.observe(Question.of(2, List.of(3, 4), 1, 2, 3, -1, 0.5, 4, -2), 0, 1, 1, 0, 1, 1, 0);
            assertArrayEquals(new double[] {0, (1.5 - 0.25) / 2, 0}, cutoffs(bench), 1e-15);
        }
    }

    @Test
    void laterObservationsCountByABiasCorrectedAverage() {
        double decay = 0.9;
        double[] observed = {1, -2, 0.5, 4, 4, -1};
        try (SelectorBench bench = emaBench(decay)) {
            double sum = 0;
            for (int i = 0; i < observed.length; i++) {
                bench.observe(Question.of(3, List.of(2), observed[i] + 1, observed[i] - 1), 1, 0);
                sum = decay * sum + (1 - decay) * observed[i];
                assertEquals(sum / (1 - Math.pow(decay, i + 1)), cutoffs(bench)[2], 1e-14, "after observation " + i);
            }
            assertArrayEquals(new double[] {0, 0}, Arrays.copyOf(cutoffs(bench), 2), "other recursions are untouched");
        }
    }

    @Test
    void whereNoneIsLeftOutTheSmallestSelectedCounts() {
        try (SelectorBench bench = emaBench(0.99)) {
            bench.observe(Question.of(2, List.of(2, 2), 3, 5, 1, -1), 1, 1, 1, 0);
            assertEquals((3 + 0) / 2.0, cutoffs(bench)[1], 1e-15);
        }
    }

    @Test
    void sequencesWithoutCandidatesDoNotCount() {
        try (SelectorBench bench = emaBench(0.99)) {
            bench.observe(Question.of(2, List.of(0, 2, 0), 3, 1), 1, 0);
            assertEquals(2, cutoffs(bench)[1], 1e-15);
            bench.observe(Question.of(2, List.of(0)));
            assertEquals(2, cutoffs(bench)[1], 1e-15, "a micro-batch without candidates changes nothing");
            bench.observe(Question.of(1, List.of(2), 3, 1), 1, 0);
            assertEquals(0, cutoffs(bench)[0], "recursion 1 takes all and needs no cut-off");
        }
    }

    @Test
    void aScoreAtTheCutOffStays() {
        try (SelectorBench bench = emaBench(0.99)) {
            bench.write(bench.selector().cutoffs().orElseThrow(), 9, 0.5, -1);
            assertArrayEquals(new double[] {0, 1, 0}, bench.select(Question.of(2, List.of(3), 0.5, 0.5000001, -3)));
            assertArrayEquals(new double[] {1, 1, 0}, bench.select(Question.of(3, List.of(3), 0.5, 0.5000001, -3)));
            assertArrayEquals(new double[] {1, 1, 1}, bench.select(Question.of(1, List.of(3), 0.5, 0.5000001, -3)));
        }
    }

    @Test
    void cutOffsTrackedInTrainingKeepAboutTheCapacity() {
        ExpertChoiceConfigs config = new ExpertChoiceConfigs();
        config.sampling = Sampling.NONE;
        try (RouterBench bench = new RouterBench(
                backend,
                shape -> new ExpertChoiceRouter(config.build(), shape),
                Optional.of(shape -> new EmaCutoffSelector(new EmaCutoffConfig(0.9), shape)))) {
            for (int microBatch = 0; microBatch < 20; microBatch++) {
                bench.walk(
                        Phase.TRAINING,
                        List.of(60, 60),
                        RouterBench.ids(100 + microBatch, 120),
                        RouterBench.progress(microBatch, 1));
            }
            RouterBench.Walk walk =
                    bench.walk(Phase.CAUSAL, List.of(600), RouterBench.ids(999, 600), RouterBench.progress(20, 1));
            double mean =
                    walk.depths().stream().mapToInt(Integer::intValue).average().orElseThrow();
            // A cut-off falls somewhere within the 4 % of the tokens that one of the 23 ids is; so the mean of 2 is met
            // to about 0.1.
            assertEquals(
                    2,
                    mean,
                    0.15,
                    "mean depth at capacities 1, 2/3, 1/3; selected "
                            + walk.selected().stream().map(List::size).toList());
        }
    }

    @Test
    void aDepthBeyondTheModelIsRefused() {
        FixedDepthConfig tooDeep = new FixedDepthConfig(4);
        String message = assertThrows(
                        IllegalArgumentException.class, () -> new FixedDepthSelector(tooDeep, SelectorBench.SHAPE))
                .getMessage();
        assertEquals("selector.depth: 4 is more than the model's 3 recursions", message);
    }

    @Test
    void randomSelectionTakesItsShareOfTheCandidates() {
        try (SelectorBench bench = bench(shape -> new RandomSelector())) {
            double[] mask = bench.select(Question.of(2, List.of(4000), new double[4000]));
            // Probability 1/2 of 4,000: a standard deviation of 0.8 % of them.
            assertEquals(0.5, Arrays.stream(mask).average().orElseThrow(), 0.03);
            double[] other = bench.select(Question.of(3, List.of(4000), new double[4000]));
            assertFalse(Arrays.equals(mask, other), "recursions draw by themselves");
        }
    }
}
