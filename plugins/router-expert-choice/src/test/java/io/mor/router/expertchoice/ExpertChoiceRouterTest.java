package io.mor.router.expertchoice;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.tensor.OptimizerGroup;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.TokenRow;
import io.mor.testkit.RouterBench;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Expert choice against closed forms (spec 11, items 4, 5, 11, 14; the contract has the rest). */
class ExpertChoiceRouterTest {

    private static final CallProgress START = CallProgress.none(7);
    private static final List<Integer> TWELVE = IntStream.range(0, 12).boxed().toList();

    private final ReferenceBackend backend = new ReferenceBackend();
    private final ExpertChoiceConfigs config = new ExpertChoiceConfigs();

    @AfterEach
    void closeBackend() {
        backend.close();
    }

    private RouterBench bench() {
        return new RouterBench(
                backend,
                shape -> new ExpertChoiceRouter(config.build(), shape),
                Optional.of(shape -> new LogitThresholdSelector()));
    }

    private static List<Integer> counts(RouterBench.Walk walk) {
        return walk.selected().stream().map(List::size).toList();
    }

    @Test
    void takesTwoThirdsAndOneThirdOf2048Tokens() {
        try (RouterBench bench = bench()) {
            RouterBench.Walk walk =
                    bench.walk(Phase.FULL_SEQUENCE_EVALUATION, List.of(2048), RouterBench.ids(1, 2048), START);
            assertEquals(List.of(2048, 1365, 682), counts(walk));
        }
    }

    @Test
    void takesOneOfOne() {
        try (RouterBench bench = bench()) {
            assertEquals(List.of(1, 1, 1), counts(bench.walk(Phase.TRAINING, List.of(1), List.of(3), START)));
        }
    }

    @Test
    void takesEverythingWhenWarmupBeginsAndItsCapacityWhenItEnds() {
        config.capacityWarmupSteps = 4;
        try (RouterBench bench = bench()) {
            List<Integer> ids = RouterBench.ids(1, 24);
            assertEquals(
                    List.of(24, 24, 24),
                    counts(bench.walk(Phase.TRAINING, List.of(24), ids, RouterBench.progress(0, 1))));
            assertEquals(
                    List.of(24, 16, 8),
                    counts(bench.walk(Phase.TRAINING, List.of(24), ids, RouterBench.progress(4, 1))));
            RouterBench.Walk evaluation =
                    bench.walk(Phase.FULL_SEQUENCE_EVALUATION, List.of(24), ids, RouterBench.progress(0, 1));
            assertEquals(List.of(24, 16, 8), counts(evaluation), "evaluation has no warm-up");
        }
    }

    /** Router weights that make coordinate r - 1 of a row, times a factor, the logit of recursion r. */
    private static void readOff(RouterBench bench, String prefix, double... factors) {
        for (int i = 0; i < RouterBench.RECURSIONS; i++) {
            double[] weights = new double[RouterBench.HIDDEN];
            weights[i] = factors[i];
            bench.write(bench.parameter(prefix + i + ".weight"), weights);
        }
    }

    private static double[] updated(RouterBench bench, int recursion, double... row) {
        List<TokenRow> tokens = List.of(new TokenRow(0, 0, recursion));
        return bench.recurse(Phase.FULL_SEQUENCE_EVALUATION, tokens, List.of(row), Map.of(), sequence -> 1)
                .rows()
                .getFirst();
    }

    private static double[] expected(double gate, double... row) {
        return Arrays.stream(row).map(x -> x + gate * RouterBench.block(x)).toArray();
    }

    @Test
    void addsTheOutputTimesAlphaTimesTheFunctionOfTheLogit() {
        double[] row = {0.5, -1.25, 2, 0, 0.75, -0.5};
        config.alpha = 0.3;
        config.temperature = 2;
        try (RouterBench bench = bench()) {
            readOff(bench, "router.", 1, 3, -2);
            assertArrayEquals(expected(0.3 / (1 + Math.exp(-0.25)), row), updated(bench, 1, row), 1e-15);
            assertArrayEquals(expected(0.3 / (1 + Math.exp(1.875)), row), updated(bench, 2, row), 1e-15);
            assertArrayEquals(expected(0.3 / (1 + Math.exp(2)), row), updated(bench, 3, row), 1e-15);
        }
        config.function = ScoreFunction.TANH;
        try (RouterBench bench = bench()) {
            readOff(bench, "router.", 1, 3, -2);
            assertArrayEquals(expected(0.3 * Math.tanh(-1.875), row), updated(bench, 2, row), 1e-15);
        }
        config.function = ScoreFunction.NONE;
        try (RouterBench bench = bench()) {
            readOff(bench, "router.", 1, 3, -2);
            assertArrayEquals(
                    expected(-1.875, row), updated(bench, 2, row), 1e-15, "alpha does not apply to the bare logit");
        }
        config.gating = Gating.ADDITIVE;
        try (RouterBench bench = bench()) {
            readOff(bench, "router.", 1, 3, -2);
            assertArrayEquals(expected(1, row), updated(bench, 2, row), 1e-15);
        }
    }

    @Test
    void anMlpHasTheExactGelu() {
        config.architecture = Architecture.MLP;
        config.function = ScoreFunction.NONE;
        try (RouterBench bench = bench()) {
            Parameter first = bench.parameter("router.0.0.weight");
            Parameter second = bench.parameter("router.0.2.weight");
            assertEquals(
                    List.of(12, 6, 1, 12), List.of(first.rows(), first.columns(), second.rows(), second.columns()));
            double[] in = new double[72];
            in[0] = 1; // inner unit 0 is coordinate 0
            double[] out = new double[12];
            out[0] = 2;
            bench.write(first, in);
            bench.write(second, out);
            double[] row = {1, 0.5, 0.25, -1, 2, 0};
            // gelu(1) = (1 + erf(1 / sqrt 2)) / 2 = 0.841344746068543; the tanh form would give 0.841192
            assertArrayEquals(expected(2 * 0.841344746068543, row), updated(bench, 1, row), 1e-14);
        }
        config.architecture = Architecture.WIDE_MLP;
        try (RouterBench bench = bench()) {
            assertEquals(24, bench.parameter("router.2.0.weight").rows());
        }
    }

    /** Twelve tokens whose coordinates are 1 but for those that a recursion should not take: so 12, 8 and 4 have a positive logit. */
    private static void separate(RouterBench bench) {
        double[] table = bench.read(bench.parameter("embed.weight"));
        for (int id = 0; id < 12; id++) {
            Arrays.fill(table, id * RouterBench.HIDDEN, (id + 1) * RouterBench.HIDDEN, 1);
            table[id * RouterBench.HIDDEN + 1] = id < 8 ? 1 : -1;
            table[id * RouterBench.HIDDEN + 2] = id < 4 ? 1 : -1;
        }
        bench.write(bench.parameter("embed.weight"), table);
        readOff(bench, "router.", 8, 8, 8);
    }

    private static double[] figures(RouterBench.Walk walk, String name) {
        return walk.figures().get(name).stream()
                .mapToDouble(values -> values[0])
                .toArray();
    }

    @Test
    void targetsAreMembershipInTheSelection() {
        config.alpha = 1e-12; // rows stay as they are, so that logits are +-8 at every recursion
        try (RouterBench bench = bench()) {
            separate(bench);
            RouterBench.Walk walk = bench.walk(Phase.TRAINING, List.of(12), TWELVE, START);
            assertEquals(List.of(12, 8, 4), counts(walk));
            double right = Math.log1p(Math.exp(-8)); // cross-entropy of a logit on the right side
            assertEquals(
                    3 * right,
                    walk.losses().get("sampling-loss"),
                    1e-9,
                    "every target is predicted, those of recursion 1 too");
            assertEquals(3 * 64, walk.losses().get("z-loss"), 1e-6, "mean squared logit, summed over recursions");
            assertEquals(0, walk.coefficients().get("z-loss"));
            assertArrayEquals(new double[] {1, 1, 1}, figures(walk, "sampling-accuracy"));
        }
    }

    @Test
    void positiveRatesAreOneTwoThirdsAndOneHalf() {
        config.alpha = 1e-12;
        config.coefficient = 1;
        try (RouterBench bench = bench()) {
            double[] table = bench.read(bench.parameter("embed.weight"));
            for (int id = 0; id < 12; id++) {
                table[id * RouterBench.HIDDEN] = id;
                table[id * RouterBench.HIDDEN + 5] = 1;
            }
            bench.write(bench.parameter("embed.weight"), table);
            for (int i = 0; i < RouterBench.RECURSIONS; i++) {
                bench.write(
                        bench.parameter("router." + i + ".weight"),
                        1e-6,
                        0,
                        0,
                        0,
                        0,
                        0); // sigmoid(z) is 1/2, yet later tokens score higher
            }
            RouterBench.Walk walk = bench.train(List.of(12), TWELVE, START);
            assertEquals(List.of(8, 9, 10, 11), walk.selected().getLast());
            for (int i = 0; i < RouterBench.RECURSIONS; i++) {
                double rate = List.of(1.0, 2.0 / 3, 0.5).get(i);
                // Coordinate 5 is 1 in every row: its weight's gradient is the mean of sigmoid(z) - target.
                assertEquals(0.5 - rate, bench.gradient(bench.parameter("router." + i + ".weight"))[5], 1e-5);
            }
        }
    }

    @Test
    void theReleasedCoefficientGrowsWithAccumulation() {
        try (RouterBench bench = bench()) {
            RouterBench.Walk walk = bench.walk(Phase.TRAINING, List.of(12), TWELVE, RouterBench.progress(0, 16));
            assertEquals(0.001, walk.coefficients().get("sampling-loss"));
        }
        config.normalization = CoefficientNormalization.AS_RELEASED;
        try (RouterBench bench = bench()) {
            RouterBench.Walk walk = bench.walk(Phase.TRAINING, List.of(12), TWELVE, RouterBench.progress(0, 16));
            assertEquals(0.016, walk.coefficients().get("sampling-loss"), 1e-15);
        }
    }

    @Test
    void anAuxiliaryRouterSeesRowsAsTheyAre() {
        config.sampling = Sampling.AUX_ROUTER;
        config.temperature = 4;
        config.alpha = 1e-12;
        try (RouterBench bench = bench()) {
            separate(bench);
            readOff(bench, "aux_router.", 8, 8, 8);
            RouterBench.Walk walk = bench.walk(Phase.TRAINING, List.of(12), TWELVE, START);
            assertEquals(
                    3 * Math.log1p(Math.exp(-8)),
                    walk.losses().get("sampling-loss"),
                    1e-9,
                    "the temperature does not divide its input");
            assertEquals(3 * 4, walk.losses().get("z-loss"), 1e-9, "but divides the router's");
        }
    }

    @Test
    void anAuxiliaryRouterSendsNoGradientToTheModel() {
        config.sampling = Sampling.AUX_ROUTER;
        List<Integer> ids = RouterBench.ids(2, 20);
        List<double[]> of = new ArrayList<>();
        for (double coefficient : new double[] {0.5, 0}) {
            config.coefficient = coefficient;
            try (RouterBench bench = bench()) {
                bench.train(List.of(20), ids, START);
                of.add(bench.gradient(bench.parameter("embed.weight")));
                for (int i = 0; i < RouterBench.RECURSIONS; i++) {
                    of.add(bench.gradient(bench.parameter("router." + i + ".weight")));
                    Parameter auxiliary = bench.parameter("aux_router." + i + ".weight");
                    assertEquals(OptimizerGroup.AUXILIARY, auxiliary.group());
                    assertEquals(
                            coefficient != 0,
                            Arrays.stream(bench.gradient(auxiliary)).anyMatch(value -> value != 0));
                }
            }
        }
        for (int i = 0; i < 4; i++) {
            assertArrayEquals(of.get(i), of.get(i + 4), "the auxiliary loss moved another gradient");
            assertTrue(Arrays.stream(of.get(i)).anyMatch(value -> value != 0));
        }
    }

    @Test
    void withoutSamplingThereIsNoSamplingLoss() {
        config.sampling = Sampling.NONE;
        try (RouterBench bench = bench()) {
            assertFalse(bench.walk(Phase.TRAINING, List.of(12), TWELVE, START)
                    .losses()
                    .containsKey("sampling-loss"));
        }
    }

    @Test
    void reportsTheShareAndTheAccuracyOfEachRecursion() {
        config.alpha = 1e-12;
        try (RouterBench bench = bench()) {
            separate(bench);
            readOff(
                    bench, "router.", -8, 8,
                    -8); // recursion 1 takes all and is wrong about each; recursion 3 takes the other half
            RouterBench.Walk walk = bench.walk(Phase.FULL_SEQUENCE_EVALUATION, List.of(12), TWELVE, START);
            assertEquals(List.of(4, 5, 6, 7), walk.selected().get(2));
            assertArrayEquals(new double[] {1}, figures(walk, "selected-share-1"), 1e-15);
            assertArrayEquals(new double[] {2.0 / 3}, figures(walk, "selected-share-2"), 1e-15);
            assertArrayEquals(new double[] {1.0 / 3}, figures(walk, "selected-share-3"), 1e-15);
            assertArrayEquals(new double[] {0, 1, 1}, figures(walk, "sampling-accuracy"));
            assertArrayEquals(new double[] {0}, figures(walk, "sampling-accuracy-1"));
            assertArrayEquals(new double[] {1}, figures(walk, "sampling-accuracy-2"));
        }
    }

    @Test
    void lowerPositionsWinTies() {
        try (RouterBench bench = bench()) {
            RouterBench.Walk walk = bench.walk(Phase.TRAINING, List.of(6, 3), Collections.nCopies(9, 4), START);
            assertEquals(List.of(0, 1, 2, 3, 6, 7), walk.selected().get(1));
            assertEquals(List.of(0, 1, 6), walk.selected().get(2));
        }
    }

    @Test
    void laterTokensChangeSelectionOverWholeSequences() {
        config.alpha = 1e-12;
        try (RouterBench bench = bench()) {
            separate(bench);
            RouterBench.Walk first = bench.walk(Phase.FULL_SEQUENCE_EVALUATION, List.of(3), List.of(9, 10, 11), START);
            RouterBench.Walk second = bench.walk(Phase.FULL_SEQUENCE_EVALUATION, List.of(3), List.of(9, 10, 0), START);
            assertEquals(List.of(0, 1), first.selected().get(1));
            assertEquals(
                    List.of(0, 2), second.selected().get(1), "selection over whole sequences is not causal by nature");
        }
    }

    @Test
    void parametersAreNamedAsInTheGoldenCases() {
        config.sampling = Sampling.AUX_ROUTER;
        try (RouterBench bench = bench()) {
            assertEquals(
                    List.of(
                            "router.0.weight",
                            "router.1.weight",
                            "router.2.weight",
                            "aux_router.0.weight",
                            "aux_router.1.weight",
                            "aux_router.2.weight"),
                    bench.router().parameters().stream().map(Parameter::name).toList());
        }
    }
}
