package io.mor.router.tokenchoice;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.tensor.Phase;
import io.mor.api.tensor.StateBuffer;
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
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Token choice against closed forms (spec 3; spec 11, items 12 and 13). */
class TokenChoiceRouterTest {

    private static final CallProgress START = CallProgress.none(7);
    private static final int HIDDEN = RouterBench.HIDDEN;
    private static final StateBuffer BIAS = new StateBuffer("router.bias", 1, 3, 0);
    private static final StateBuffer LOAD = new StateBuffer("router.load", 1, 3, 0);

    private final ReferenceBackend backend = new ReferenceBackend();
    private final TokenChoiceConfigs config = new TokenChoiceConfigs();

    @AfterEach
    void closeBackend() {
        backend.close();
    }

    private RouterBench bench() {
        return new RouterBench(backend, shape -> new TokenChoiceRouter(config.build(), shape), Optional.empty());
    }

    /** Router weights that make coordinate i of a row the logit of depth i + 1. */
    private static void readOff(RouterBench bench) {
        double[] weights = new double[3 * HIDDEN];
        for (int depth = 0; depth < 3; depth++) {
            weights[depth * HIDDEN + depth] = 1;
        }
        bench.write(bench.parameter("router.weight"), weights);
    }

    /** Token {@code id} prefers depth {@code id % 3 + 1} with a logit of {@code logit}, the others have 0. */
    private static void prefer(RouterBench bench, double logit) {
        readOff(bench);
        double[] table = bench.read(bench.parameter("embed.weight"));
        for (int id = 0; id < RouterBench.VOCABULARY; id++) {
            for (int depth = 0; depth < 3; depth++) {
                table[id * HIDDEN + depth] = id % 3 == depth ? logit : 0;
            }
        }
        bench.write(bench.parameter("embed.weight"), table);
    }

    private static double figure(RouterBench.Walk walk, String name) {
        assertEquals(1, walk.figures().get(name).size());
        return walk.figures().get(name).getFirst()[0];
    }

    /** What a row is after its depth's recursions, not normalised. */
    private static double[] run(RouterBench bench, double... row) {
        Map<String, List<double[]>> state =
                bench.begin(Phase.CAUSAL, List.of(new TokenRow(0, 0, 1)), List.of(row), sequence -> 1);
        double[] value = row;
        for (int recursion = 1; recursion <= RouterBench.RECURSIONS; recursion++) {
            RouterBench.Recursion result = bench.recurse(
                    Phase.CAUSAL, List.of(new TokenRow(0, 0, recursion)), List.of(value), state, sequence -> 1);
            value = result.rows().getFirst();
            if (result.selected().isEmpty()) {
                break;
            }
            state = result.state();
        }
        return value;
    }

    private static double[] expected(double gate, int depth, double... row) {
        return Arrays.stream(row)
                .map(x -> {
                    double output = x;
                    for (int recursion = 0; recursion < depth; recursion++) {
                        output = RouterBench.block(output);
                    }
                    return x + gate * output;
                })
                .toArray();
    }

    private static double softmax(int of, double... logits) {
        return Math.exp(logits[of]) / Arrays.stream(logits).map(Math::exp).sum();
    }

    @Test
    void theLastRecursionAddsItsWeightedOutputToTheRowThatEntered() {
        double[] two = {0.5, 1.5, -1, 0.25, -0.75, 2};
        double[] three = {0.5, 0.25, 1, 0.25, -0.75, 2};
        try (RouterBench bench = bench()) {
            readOff(bench);
            assertArrayEquals(expected(softmax(1, 0.5, 1.5, -1), 2, two), run(bench, two), 1e-14);
            assertArrayEquals(expected(softmax(2, 0.5, 0.25, 1), 3, three), run(bench, three), 1e-14);
        }
        config.function = ScoreFunction.SIGMOID;
        config.alpha = 0.3;
        config.temperature = 2;
        try (RouterBench bench = bench()) {
            readOff(bench);
            assertArrayEquals(expected(0.3 / (1 + Math.exp(-0.75)), 2, two), run(bench, two), 1e-14);
        }
        config.gating = Gating.ADDITIVE;
        try (RouterBench bench = bench()) {
            readOff(bench);
            assertArrayEquals(expected(1, 3, three), run(bench, three), 1e-14);
        }
    }

    @Test
    void oneRowsNumbersNeverReachAnother() {
        try (RouterBench bench = bench()) {
            readOff(bench);
            double[] good = {0.5, 1.5, -1, 0.25, -0.75, 2};
            double[] bad = {3, 0, 0, Double.NaN, Double.POSITIVE_INFINITY, 0};
            List<TokenRow> tokens = List.of(new TokenRow(0, 0, 1), new TokenRow(0, 1, 1), new TokenRow(0, 2, 1));
            Map<String, List<double[]>> state =
                    bench.begin(Phase.CAUSAL, tokens, List.of(good, bad, good), sequence -> 3);
            RouterBench.Recursion result =
                    bench.recurse(Phase.CAUSAL, tokens, List.of(good, bad, good), state, sequence -> 3);
            assertArrayEquals(
                    Arrays.stream(good).map(RouterBench::block).toArray(),
                    result.rows().getFirst());
            assertArrayEquals(result.rows().getFirst(), result.rows().getLast());
        }
    }

    @Test
    void perfectBalanceHasALossOfOneNoViolationAndFullEntropy() {
        try (RouterBench bench = bench()) {
            prefer(bench, 2);
            RouterBench.Walk walk =
                    bench.walk(Phase.TRAINING, List.of(4, 5), List.of(0, 1, 2, 3, 4, 5, 6, 7, 8), START);
            assertEquals(List.of(1, 2, 3, 1, 2, 3, 1, 2, 3), walk.depths());
            assertEquals(1, walk.losses().get("balancing-loss"), 1e-14);
            assertEquals(0.1, walk.coefficients().get("balancing-loss"));
            assertEquals(0, figure(walk, "max-violation"), 1e-14);
            assertEquals(Math.log(3), figure(walk, "routing-entropy"), 1e-14);
            assertArrayEquals(
                    new double[] {1.0 / 3, 1.0 / 3, 1.0 / 3},
                    walk.figures().get("load").getFirst(),
                    1e-15);
            double z = Math.log(Math.exp(2) + 2);
            assertEquals(z * z, walk.losses().get("z-loss"), 1e-13);
            assertEquals(0, walk.coefficients().get("z-loss"));
        }
    }

    @Test
    void imbalanceShowsInLossAndFigures() {
        try (RouterBench bench = bench()) {
            prefer(bench, 2);
            RouterBench.Walk walk = bench.walk(
                    Phase.FULL_SEQUENCE_EVALUATION, List.of(4), List.of(0, 3, 6, 1), START); // depths 1 1 1 2
            double high = softmax(0, 2, 0, 0);
            double low = softmax(1, 2, 0, 0);
            double[] mean = {(3 * high + low) / 4, (3 * low + high) / 4, low};
            assertEquals(3 * (0.75 * mean[0] + 0.25 * mean[1]), walk.losses().get("balancing-loss"), 1e-14);
            assertEquals((0.75 - 1.0 / 3) * 3, figure(walk, "max-violation"), 1e-14);
            assertEquals(-Arrays.stream(mean).map(p -> p * Math.log(p)).sum(), figure(walk, "routing-entropy"), 1e-14);
            assertArrayEquals(
                    new double[] {0.75, 0.25, 0}, walk.figures().get("load").getFirst(), 1e-15);
        }
    }

    @Test
    void entropyIsOfProbabilitiesThatSumToOne() {
        config.function = ScoreFunction.SIGMOID;
        config.alpha = 0.1;
        try (RouterBench bench = bench()) {
            prefer(bench, 2);
            RouterBench.Walk walk = bench.walk(Phase.TRAINING, List.of(3), List.of(0, 1, 2), START);
            assertEquals(Math.log(3), figure(walk, "routing-entropy"), 1e-14);
        }
    }

    @Test
    void biasesMoveByTheUpdateRateAgainstTheLoad() {
        config.balancing = Balancing.LOSS_FREE;
        config.updateRate = 0.125;
        try (RouterBench bench = bench()) {
            prefer(bench, 2);
            // Two micro-batches of one optimizer step: loads 3 1 0 and 1 1 2, in all 4 2 2 with a mean of 8/3.
            bench.walk(Phase.TRAINING, List.of(4), List.of(0, 3, 6, 1), RouterBench.progress(0, 2));
            bench.walk(Phase.TRAINING, List.of(4), List.of(0, 1, 2, 5), RouterBench.progress(1, 2));
            assertArrayEquals(new double[] {4, 2, 2}, bench.read(LOAD));
            assertArrayEquals(new double[] {0, 0, 0}, bench.read(BIAS));
            bench.afterOptimizerStep(RouterBench.progress(1, 2));
            assertArrayEquals(new double[] {-0.125, 0.125, 0.125}, bench.read(BIAS));
            assertArrayEquals(new double[] {0, 0, 0}, bench.read(LOAD), "the next step counts anew");
            // Loads 1 2 3: the mean is met by the second.
            bench.walk(Phase.TRAINING, List.of(6), List.of(0, 1, 4, 2, 5, 8), RouterBench.progress(2, 1));
            bench.afterOptimizerStep(RouterBench.progress(2, 1));
            assertArrayEquals(new double[] {0, 0.125, 0}, bench.read(BIAS));
            // Equal loads.
            bench.walk(Phase.TRAINING, List.of(6), List.of(0, 1, 2, 3, 4, 5), RouterBench.progress(3, 1));
            bench.afterOptimizerStep(RouterBench.progress(3, 1));
            assertArrayEquals(new double[] {0, 0.125, 0}, bench.read(BIAS));
        }
    }

    @Test
    void aBiasChangesTheChoiceAndNotTheGate() {
        config.balancing = Balancing.LOSS_FREE;
        double[] row = {0.5, 0.75, 0, 0.25, -0.75, 2};
        try (RouterBench bench = bench()) {
            readOff(bench);
            assertArrayEquals(expected(softmax(1, 0.5, 0.75, 0), 2, row), run(bench, row), 1e-14);
            bench.write(BIAS, 0.5, 0, 0);
            assertArrayEquals(expected(softmax(0, 0.5, 0.75, 0), 1, row), run(bench, row), 1e-14);
        }
    }

    @Test
    void evaluationCountsNoLoad() {
        config.balancing = Balancing.LOSS_FREE;
        try (RouterBench bench = bench()) {
            bench.walk(Phase.FULL_SEQUENCE_EVALUATION, List.of(4), List.of(0, 3, 6, 1), START);
            bench.walk(Phase.CAUSAL, List.of(4), List.of(0, 3, 6, 1), START);
            assertArrayEquals(new double[] {0, 0, 0}, bench.read(LOAD));
        }
    }

    @Test
    void warmupGivesEveryTokenTheMaximumDepthAndLeavesBiasesAlone() {
        config.balancing = Balancing.LOSS_FREE;
        config.balanceWarmupSteps = 2;
        try (RouterBench bench = bench()) {
            prefer(bench, 2);
            List<Integer> ids = List.of(0, 3, 6, 1);
            for (int microBatch = 0; microBatch < 2; microBatch++) {
                RouterBench.Walk walk =
                        bench.walk(Phase.TRAINING, List.of(4), ids, RouterBench.progress(microBatch, 1));
                assertEquals(Collections.nCopies(4, 3), walk.depths());
                bench.afterOptimizerStep(RouterBench.progress(microBatch, 1));
                assertArrayEquals(new double[] {0, 0, 0}, bench.read(BIAS));
            }
            assertEquals(
                    List.of(1, 1, 1, 2),
                    bench.walk(Phase.TRAINING, List.of(4), ids, RouterBench.progress(2, 1))
                            .depths());
            RouterBench.Walk evaluation = bench.walk(Phase.CAUSAL, List.of(4), ids, RouterBench.progress(0, 1));
            assertEquals(List.of(1, 1, 1, 2), evaluation.depths(), "evaluation has no warm-up");
        }
    }

    @Test
    void withoutBalancingThereIsNeitherLossNorBias() {
        config.balancing = Balancing.NONE;
        try (RouterBench bench = bench()) {
            assertFalse(bench.walk(Phase.TRAINING, List.of(2), List.of(0, 1), START)
                    .losses()
                    .containsKey("balancing-loss"));
            assertEquals(List.of(), bench.router().buffers());
        }
    }

    @Test
    void refusesValuesByTheirKey() {
        List<Consumer<TokenChoiceConfigs>> changes = new ArrayList<>();
        changes.add(changed -> changed.alpha = 0);
        changes.add(changed -> changed.temperature = Double.NaN);
        changes.add(changed -> changed.coefficient = -1);
        changes.add(changed -> changed.updateRate = -0.5);
        changes.add(changed -> changed.balanceWarmupSteps = -3);
        changes.add(changed -> changed.zCoefficient = Double.POSITIVE_INFINITY);
        List<String> starts = List.of(
                "router.alpha: 0.0",
                "router.temperature: NaN",
                "router.coefficient: -1.0",
                "router.update-rate: -0.5",
                "router.balance-warmup-steps: -3",
                "router.z-coefficient: Infinity");
        for (int i = 0; i < changes.size(); i++) {
            TokenChoiceConfigs changed = new TokenChoiceConfigs();
            changes.get(i).accept(changed);
            String message =
                    assertThrows(IllegalArgumentException.class, changed::build).getMessage();
            assertTrue(message.startsWith(starts.get(i)), message);
        }
    }
}
