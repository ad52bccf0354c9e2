package io.mor.runtime.flops;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvVisit;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.config.Sharing;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class CostTest {

    private static final int N = 2048;
    private static final long TOKENS_PER_STEP = 1024L * N;

    private static final KvCache CACHE = (recursion, recursions, layer) -> KvVisit.own(recursion);

    private static final KvCache SHARE = new KvCache() {
        @Override
        public KvVisit visit(int recursion, int recursions, int layer) {
            return recursion == 1 ? KvVisit.own(1) : KvVisit.shared(1);
        }

        @Override
        public boolean everyCandidateRuns(int recursion) {
            return recursion == 1;
        }
    };

    private static ModelConfig model(String size, Sharing sharing, int recursions, int layers) {
        return ExperimentConfig.builder()
                .with("model.preset", "smollm-" + size)
                .with("model.sharing", sharing)
                .with("model.recursions", recursions)
                .with("model.layers", layers)
                .build()
                .model()
                .shape();
    }

    private static ModelConfig vanilla(String size, int layers) {
        return model(size, Sharing.NONE, 1, layers);
    }

    private static ModelConfig middle(String size, int recursions, int layers) {
        return model(size, Sharing.MIDDLE_CYCLE, recursions, layers);
    }

    private static List<Double> capacities(int recursions) {
        List<Double> capacities = new ArrayList<>();
        for (int r = 1; r <= recursions; r++) {
            capacities.add((recursions - r + 1.0) / recursions);
        }
        return capacities;
    }

    private static double recursive(ModelConfig model) {
        return PaperFlops.perToken(model, LayerVisits.of(model, CACHE, Optional.empty()), N);
    }

    private static double routed(ModelConfig model, KvCache cache) {
        return PaperFlops.perToken(model, LayerVisits.of(model, cache, capacities(model.recursions())), N);
    }

    @Test
    void paperFlopsPerTokenAreThoseDerivedFromThePaper() {
        assertEquals(833_617_920, recursive(vanilla("360m", 32)), 0.5);
        assertEquals(833_617_920, recursive(middle("360m", 2, 32)), 0.5);
        assertEquals(833_617_920, recursive(middle("360m", 3, 32)), 0.5);
        assertEquals(885_719_040, recursive(middle("360m", 4, 34)), 0.5);
        assertEquals(623_493_120, routed(middle("360m", 2, 32), CACHE), 0.5);
        assertEquals(555_636_053, routed(middle("360m", 3, 32), CACHE), 0.5);
        assertEquals(553_451_520, routed(middle("360m", 4, 34), CACHE), 0.5);
        assertEquals(536_248_320, routed(middle("360m", 3, 32), SHARE), 0.5);
        assertEquals(309.66e6, recursive(vanilla("135m", 30)), 0.005e6);
        assertEquals(1635.78e6, recursive(vanilla("730m", 26)), 0.005e6);
        assertEquals(3422.55e6, recursive(vanilla("1.7b", 24)), 0.005e6);
    }

    @Test
    void stepCountsAreThoseOfThePublishedConfigs() {
        double budget = 16.5e18;
        assertEquals(9438, PaperFlops.steps(budget, recursive(vanilla("360m", 32)), TOKENS_PER_STEP), 1);
        assertEquals(8883, PaperFlops.steps(budget, recursive(middle("360m", 4, 34)), TOKENS_PER_STEP), 1);
        assertEquals(12619, PaperFlops.steps(budget, routed(middle("360m", 2, 32), CACHE), TOKENS_PER_STEP), 1);
        assertEquals(14161, PaperFlops.steps(budget, routed(middle("360m", 3, 32), CACHE), TOKENS_PER_STEP), 1.05);
        assertEquals(14216, PaperFlops.steps(budget, routed(middle("360m", 4, 34), CACHE), TOKENS_PER_STEP), 1);
        assertEquals(14672, PaperFlops.steps(budget, routed(middle("360m", 3, 32), SHARE), TOKENS_PER_STEP), 1);
    }

    @Test
    void tokenCountsAreThoseOfTable9() {
        record Row(
                String size,
                int vanillaLayers,
                int sharedLayers,
                double budget,
                double vanilla,
                double recursive,
                double mor) {}
        List<Row> table = List.of(
                new Row("135m", 30, 32, 2e18, 6.5, 6.1, 9.2),
                new Row("135m", 30, 32, 5e18, 16.1, 15.1, 23.1),
                new Row("135m", 30, 32, 16.5e18, 53.3, 50.0, 76.2),
                new Row("360m", 32, 32, 2e18, 2.4, 2.4, 3.6),
                new Row("360m", 32, 32, 5e18, 6.0, 6.0, 9.0),
                new Row("360m", 32, 32, 16.5e18, 19.8, 19.8, 29.7),
                new Row("730m", 26, 26, 2e18, 1.2, 1.2, 1.8),
                new Row("730m", 26, 26, 5e18, 3.1, 3.1, 4.5),
                new Row("730m", 26, 26, 16.5e18, 10.1, 10.1, 14.9),
                new Row("1.7b", 24, 26, 2e18, 0.6, 0.5, 0.8),
                new Row("1.7b", 24, 26, 5e18, 1.5, 1.3, 2.0),
                new Row("1.7b", 24, 26, 16.5e18, 4.8, 4.5, 6.5));
        for (Row row : table) {
            // Printed to one decimal of a billion.
            assertEquals(
                    row.vanilla(),
                    PaperFlops.tokens(row.budget(), recursive(vanilla(row.size(), row.vanillaLayers()))) / 1e9,
                    0.0501,
                    row.toString());
            assertEquals(
                    row.recursive(),
                    PaperFlops.tokens(row.budget(), recursive(middle(row.size(), 3, row.sharedLayers()))) / 1e9,
                    0.0501,
                    row.toString());
            assertEquals(
                    row.mor(),
                    PaperFlops.tokens(row.budget(), routed(middle(row.size(), 3, row.sharedLayers()), CACHE)) / 1e9,
                    0.0501,
                    row.toString());
        }
    }

    @Test
    void parameterCountsAreThoseOfThePaper() {
        assertEquals(
                new ParameterCount(47_185_920, 0, 314_635_200, 314_635_200),
                ParameterCount.of(vanilla("360m", 32), 49152));
        assertEquals(
                167_150_400, ParameterCount.of(middle("360m", 2, 32), 49152).layers());
        assertEquals(
                117_988_800, ParameterCount.of(middle("360m", 3, 32), 49152).layers());
        assertEquals(98_324_160, ParameterCount.of(middle("360m", 4, 34), 49152).layers());
        assertEquals(
                314_635_200, ParameterCount.of(middle("360m", 3, 32), 49152).effective());
        assertEquals(
                117_988_800 + 47_185_920,
                ParameterCount.of(middle("360m", 3, 32), 49152).unique());
        assertEquals(106e6, ParameterCount.of(vanilla("135m", 30), 49152).layers(), 0.5e6);
        assertEquals(654e6, ParameterCount.of(vanilla("730m", 26), 49152).layers(), 0.5e6);
        assertEquals(1.61e9, ParameterCount.of(vanilla("1.7b", 24), 49152).layers(), 0.005e9);
    }

    @Test
    void unsharedNormsAndAnUntiedHeadAreCounted() {
        ModelConfig tied = ExperimentConfig.builder()
                .yaml("model: {hidden: 8, layers: 6, heads: 2, kv-heads: 1, ffn: 10, sharing: cycle, recursions: 3}")
                .build()
                .model()
                .shape();
        ModelConfig untied = ExperimentConfig.builder()
                .yaml(
                        "model: {hidden: 8, layers: 6, heads: 2, kv-heads: 1, ffn: 10, sharing: cycle, recursions: 3, tied: false, ln-share: false}")
                .build()
                .model()
                .shape();
        long layer = 8 * 8 * 2 + 8 * 4 * 2 + 3 * 8 * 10;
        assertEquals(
                new ParameterCount(88, 0, 2 * (layer + 16) + 8, 6 * (layer + 16) + 8), ParameterCount.of(tied, 11));
        assertEquals(
                new ParameterCount(88, 88, 2 * layer + 6 * 16 + 8, 6 * (layer + 16) + 8),
                ParameterCount.of(untied, 11));
    }

    @Test
    void keysAndValuesCostThePapersFractions() {
        double[] cache = {0.75, 2.0 / 3, 0.625};
        double[] share = {0.5, 1.0 / 3, 0.25};
        double[] wholeCache = {0.766, 0.6875, 0.647};
        double[] wholeShare = {0.531, 0.375, 0.294};
        for (int recursions = 2; recursions <= 4; recursions++) {
            ModelConfig model = middle("360m", recursions, recursions == 4 ? 34 : 32);
            KvCost cached = KvCost.of(LayerVisits.of(model, CACHE, capacities(recursions)));
            KvCost shared = KvCost.of(LayerVisits.of(model, SHARE, capacities(recursions)));
            assertEquals(cache[recursions - 2], cached.recursiveMemoryFraction(), 1e-12);
            assertEquals(cache[recursions - 2], cached.recursiveReadFraction(), 1e-12);
            assertEquals(wholeCache[recursions - 2], cached.memoryFraction(), 5e-4);
            assertEquals(share[recursions - 2], shared.recursiveMemoryFraction(), 1e-12);
            assertEquals(1, shared.recursiveReadFraction(), 1e-12);
            assertEquals(wholeShare[recursions - 2], shared.memoryFraction(), 5e-4);
        }
    }

    @Test
    void bytesPerTokenAreThoseDerivedFromThePaper() {
        record Size(String name, int layers, long entry, long total) {}
        for (Size size : List.of(
                new Size("135m", 30, 768, 23_040),
                new Size("360m", 32, 1280, 40_960),
                new Size("730m", 26, 2048, 53_248),
                new Size("1.7b", 24, 8192, 196_608))) {
            ModelConfig model = vanilla(size.name(), size.layers());
            assertEquals(size.entry(), KvCost.entryBytes(model, 2));
            assertEquals(
                    size.total(),
                    KvCost.of(LayerVisits.of(model, CACHE, Optional.empty())).bytesPerToken(model, 2),
                    1e-6);
        }
        ModelConfig mor = middle("360m", 3, 32);
        assertEquals(
                28_160, KvCost.of(LayerVisits.of(mor, CACHE, capacities(3))).bytesPerToken(mor, 2), 1e-6);
        assertEquals(
                15_360, KvCost.of(LayerVisits.of(mor, SHARE, capacities(3))).bytesPerToken(mor, 2), 1e-6);
    }

    @Test
    void sharedKeysAndValuesOfUnsharedLayersAreProjectedInTheFirstGroupOnly() {
        ModelConfig model = ExperimentConfig.builder()
                .yaml("model: {layers: 6, kv-sharing-groups: 3}")
                .build()
                .model()
                .shape();
        KvCost cost = KvCost.of(LayerVisits.of(model, SHARE, Optional.empty()));
        assertEquals(2, cost.entries());
        assertEquals(6, cost.visits());
        assertEquals(1.0 / 3, cost.memoryFraction(), 1e-12);
    }

    @Test
    void sequenceSharingVisitsEveryLayerInPlace() {
        ModelConfig model = model("360m", Sharing.MIDDLE_SEQUENCE, 3, 32);
        List<LayerVisit> visits = LayerVisits.of(model, CACHE, Optional.empty());
        assertEquals(32, visits.size());
        assertEquals(
                List.of(1, 1, 2, 3, 1, 2),
                visits.subList(0, 6).stream().map(LayerVisit::recursion).toList());
        assertEquals(recursive(vanilla("360m", 32)), recursive(model), 0.5);
    }

    @Test
    void modelFlopsCountTheProductsOneByOne() {
        ModelConfig model = ExperimentConfig.builder()
                .yaml(
                        "model: {hidden: 12, layers: 5, heads: 6, kv-heads: 2, ffn: 20, context: 7, sharing: middle-cycle, recursions: 3}")
                .build()
                .model()
                .shape();
        int length = 7;
        List<Double> capacities = List.of(1.0, 4.0 / 7, 2.0 / 7);
        long perSequence = 0;
        for (int rows : new int[] {7, 7, 4, 2, 7}) { // first layer, three recursions, last layer
            perSequence += rows * 2L * (12 * 12 + 2 * 12 * 4 + 12 * 12 + 3 * 12 * 20);
            for (int query = 1; query <= rows; query++) {
                perSequence += 2L * 2 * 12 * query; // scores and values of each visible key, over all heads
            }
        }
        perSequence += 7 * 2L * 12 * 31;

        ModelFlops flops = ModelFlops.of(model, LayerVisits.of(model, CACHE, capacities), length, 31);

        assertEquals(perSequence, flops.forward() * length, 1e-6);
        assertEquals(3 * flops.forward(), flops.training());
    }

    @Test
    void aWindowBoundsTheKeysThatAreSeen() {
        LayerVisit windowed = new LayerVisit(true, 1, 1, true, 1, 3);
        assertEquals((1 + 2 + 3 + 3 + 3 + 3 + 3) / 7.0, windowed.visibleKeys(7), 1e-12);
        assertEquals((1 + 2) / 2.0, windowed.visibleKeys(2), 1e-12);
    }
}
