package io.mor.router.baselines;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.tensor.Phase;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.TokenRow;
import io.mor.testkit.RouterBench;
import io.mor.testkit.SelectorBench;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Random and fixed depth against closed forms. */
class BaselineRouterTest {

    private static final CallProgress START = CallProgress.none(7);

    private final ReferenceBackend backend = new ReferenceBackend();

    @AfterEach
    void closeBackend() {
        backend.close();
    }

    private RouterBench bench(Function<ModelShape, Router> router) {
        return new RouterBench(backend, router, Optional.empty());
    }

    private RouterBench random(double... capacity) {
        List<Double> capacities = Arrays.stream(capacity).boxed().toList();
        return bench(shape -> new RandomRouter(new RandomRouterConfig(capacities, 0.3), shape));
    }

    private static List<Integer> counts(RouterBench.Walk walk) {
        return walk.selected().stream().map(List::size).toList();
    }

    @Test
    void randomRoutingTakesTheCapacitiesOverWholeSequences() {
        try (RouterBench bench = random()) {
            assertEquals(
                    List.of(2048, 1365, 682),
                    counts(bench.walk(Phase.TRAINING, List.of(2048), RouterBench.ids(1, 2048), START)));
        }
        try (RouterBench bench = random(0.5, 0.5, 0.25)) {
            assertEquals(
                    List.of(6, 6, 3), counts(bench.walk(Phase.TRAINING, List.of(12), RouterBench.ids(1, 12), START)));
        }
    }

    @Test
    void everyMicroBatchAndSequenceDrawsItsOwn() {
        try (RouterBench bench = random()) {
            List<Integer> ids = Collections.nCopies(60, 4);
            RouterBench.Walk first = bench.walk(Phase.TRAINING, List.of(30, 30), ids, RouterBench.progress(0, 1));
            RouterBench.Walk second = bench.walk(Phase.TRAINING, List.of(30, 30), ids, RouterBench.progress(1, 1));
            assertNotEquals(first.depths(), second.depths());
            assertNotEquals(first.depths().subList(0, 30), first.depths().subList(30, 60));
        }
    }

    @Test
    void causallyEveryTokenDrawsWithTheCapacitiesRatio() {
        try (RouterBench bench = random()) {
            List<Integer> counts = counts(bench.walk(Phase.CAUSAL, List.of(6000), Collections.nCopies(6000, 4), START));
            assertEquals(6000, counts.getFirst());
            assertEquals(4000, counts.get(1), 150); // standard deviation 37
            assertEquals(2000, counts.get(2), 150);
        }
    }

    @Test
    void randomRoutingAddsAlphaTimesTheOutput() {
        double[] row = {0.5, -1.25, 2, 0, 0.75, -0.5};
        try (RouterBench bench = random()) {
            double[] updated = bench.recurse(
                            Phase.CAUSAL, List.of(new TokenRow(0, 0, 1)), List.of(row), Map.of(), sequence -> 1)
                    .rows()
                    .getFirst();
            assertArrayEquals(
                    Arrays.stream(row).map(x -> x + 0.3 * RouterBench.block(x)).toArray(), updated, 1e-15);
        }
    }

    @Test
    void aFixedDepthAppliesTheBlockSoManyTimesAndNothingElse() {
        for (int depth = 0; depth <= RouterBench.RECURSIONS; depth++) {
            int configured = depth;
            int times = depth == 0 ? RouterBench.RECURSIONS : depth;
            try (RouterBench bench =
                    bench(shape -> new FixedDepthRouter(new FixedDepthRouterConfig(configured), shape))) {
                for (Phase phase : Phase.values()) {
                    RouterBench.Walk walk = bench.walk(phase, List.of(2, 3), RouterBench.ids(1, 5), START);
                    assertEquals(Collections.nCopies(5, times), walk.depths());
                    double[] row = bench.embedding(RouterBench.ids(1, 5).get(3));
                    for (int i = 0; i < times; i++) {
                        row = Arrays.stream(row).map(RouterBench::block).toArray();
                    }
                    double factor = 1
                            / Math.sqrt(
                                    Arrays.stream(row).map(x -> x * x).average().orElseThrow() + 1e-5);
                    assertArrayEquals(
                            Arrays.stream(row).map(x -> x * factor).toArray(),
                            walk.rows().get(3),
                            1e-14);
                }
            }
        }
    }

    private static void assertRefused(String start, Executable making) {
        String message = assertThrows(IllegalArgumentException.class, making).getMessage();
        assertTrue(message.startsWith(start), message);
    }

    @Test
    void refusesValuesByTheirKey() {
        assertRefused(
                "router.capacity: 1.5 of recursion 1 is not in (0, 1]",
                () -> new RandomRouterConfig(List.of(1.5), 0.1));
        assertRefused(
                "router.capacity: 0.7 of recursion 2 is more than 0.5",
                () -> new RandomRouterConfig(List.of(0.5, 0.7), 0.1));
        assertRefused("router.alpha: 0.0", () -> new RandomRouterConfig(List.of(), 0));
        RandomRouterConfig two = new RandomRouterConfig(List.of(1.0, 0.5), 0.1);
        assertRefused(
                "router.capacity: [1.0, 0.5] has 2 entries, but the model has 3 recursions",
                () -> new RandomRouter(two, SelectorBench.SHAPE));
        assertRefused("router.depth: -1", () -> new FixedDepthRouterConfig(-1));
        FixedDepthRouterConfig deep = new FixedDepthRouterConfig(4);
        assertRefused(
                "router.depth: 4 is more than the model's 3 recursions",
                () -> new FixedDepthRouter(deep, SelectorBench.SHAPE));
    }
}
