package io.mor.runtime.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.config.Initialization;
import io.mor.runtime.config.Sharing;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Spec 1.1, 1.3, 1.4 and item 1 of section 11: which parameters stand at which layer, and where they start from. */
class LayerPlanTest {

    @ParameterizedTest
    @CsvSource({"9,3", "32,2", "32,3", "34,4", "26,3", "24,2"})
    void everySchemeMapsLayersByItsFormula(int layers, int recursions) {
        for (Sharing sharing :
                List.of(Sharing.CYCLE, Sharing.SEQUENCE, Sharing.MIDDLE_CYCLE, Sharing.MIDDLE_SEQUENCE)) {
            LayerPlan plan = LayerPlan.of(sharing, layers, recursions);
            int ends = sharing.isMiddle() ? 2 : 0;
            boolean divides = (layers - ends) % recursions == 0;
            assertEquals(
                    divides,
                    plan.warning().isEmpty(),
                    sharing + " of " + layers + " layers, " + recursions + " recursions");
            int block = (layers - ends) / recursions;
            assertEquals(ends + block * recursions, plan.layers());
            assertEquals(block + ends, plan.physicalLayers());
            for (int layer = 0; layer < plan.layers(); layer++) {
                assertEquals(
                        formula(sharing, layer, plan.layers(), block, recursions),
                        plan.map().get(layer),
                        sharing + " layer " + layer);
            }
        }
    }

    private static int formula(Sharing sharing, int layer, int layers, int block, int recursions) {
        int inner = layer - 1;
        if (sharing.isMiddle() && (layer == 0 || layer == layers - 1)) {
            return layer == 0 ? 0 : block + 1;
        }
        return switch (sharing) {
            case NONE -> layer;
            case CYCLE -> layer % block;
            case SEQUENCE -> Math.floorDiv(layer, recursions);
            case MIDDLE_CYCLE -> inner % block + 1;
            case MIDDLE_SEQUENCE -> Math.floorDiv(inner, recursions) + 1;
        };
    }

    @Test
    void theExamplesOfThePaper() {
        assertEquals(
                List.of(0, 1, 2, 0, 1, 2, 0, 1, 2),
                LayerPlan.of(Sharing.CYCLE, 9, 3).map());
        assertEquals(
                List.of(0, 0, 0, 1, 1, 1, 2, 2, 2),
                LayerPlan.of(Sharing.SEQUENCE, 9, 3).map());
    }

    @Test
    void countsThatDoNotDivideArePickedAgainAndSaidSo() {
        LayerPlan plan = LayerPlan.of(Sharing.CYCLE, 10, 3);
        assertEquals(9, plan.layers());
        assertEquals(List.of(0, 1, 2, 3, 4, 6, 7, 8, 9), plan.picked(), "round(linspace(0, 9, 9)), halves to even");
        assertTrue(
                plan.warning().orElseThrow().contains("10 layers do not divide over 3 recursions"),
                plan.warning()::get);

        LayerPlan middle = LayerPlan.of(Sharing.MIDDLE_CYCLE, 10, 3);
        assertEquals(List.of(0, 1, 2, 4, 5, 7, 8, 9), middle.picked(), "the ends and round(linspace(1, 8, 6))");
    }

    @Test
    void tooFewLayersAreRefused() {
        String message = assertThrows(IllegalArgumentException.class, () -> LayerPlan.of(Sharing.MIDDLE_CYCLE, 4, 3))
                .getMessage();
        assertTrue(message.contains("model.layers: 4 layers are too few for 3 recursions"), message);
    }

    @ParameterizedTest
    @CsvSource({
        "STEPWISE,CYCLE,0 4 8 13 17",
        "LOWER,CYCLE,0 1 2 3 4",
        "UPPER,CYCLE,13 14 15 16 17",
        "LOWER,MIDDLE_CYCLE,1 2 3 4",
        "UPPER,MIDDLE_CYCLE,13 14 15 16"
    })
    void sharedBlocksStartFromTheLayersOfTheRule(Initialization rule, Sharing sharing, String expected) {
        int recursions = sharing == Sharing.CYCLE ? 3 : 4;
        int layers = sharing == Sharing.CYCLE ? 15 : 18;
        LayerPlan plan = LayerPlan.of(sharing, layers, recursions);
        LayerSources sources = LayerSources.of(plan, rule, 18, 3);
        int first = sharing.isMiddle() ? 1 : 0;
        List<Integer> picked = IntStream.range(0, plan.blockLayers())
                .mapToObj(i -> sources.of(first + i))
                .map(List::getFirst)
                .toList();
        assertEquals(List.of(expected.split(" ")).stream().map(Integer::valueOf).toList(), picked);
        if (sharing.isMiddle()) {
            assertEquals(List.of(0), sources.of(0), "the own first layer");
            assertEquals(List.of(17), sources.of(plan.physicalLayers() - 1), "the own last layer");
        }
    }

    @Test
    void averagesAreOverTheLayersThatWillBeTied() {
        LayerSources sources = LayerSources.of(LayerPlan.of(Sharing.MIDDLE_CYCLE, 8, 3), Initialization.AVERAGE, 8, 1);
        assertEquals(List.of(1, 3, 5), sources.of(1));
        assertEquals(List.of(2, 4, 6), sources.of(2));
        assertEquals(
                List.of("layers.2.mlp.up_proj.weight", "layers.4.mlp.up_proj.weight", "layers.6.mlp.up_proj.weight"),
                sources.of("layers.2.mlp.up_proj.weight"));
    }

    @Test
    void randomSourcesAreASortedSampleThatTheSeedDecides() {
        LayerPlan plan = LayerPlan.of(Sharing.CYCLE, 30, 3);
        List<Integer> sample = IntStream.range(0, 10)
                .mapToObj(i -> LayerSources.of(plan, Initialization.RANDOM, 30, 9)
                        .of(i)
                        .getFirst())
                .toList();
        assertEquals(sample.stream().distinct().sorted().toList(), sample);
        assertEquals(
                sample,
                IntStream.range(0, 10)
                        .mapToObj(i -> LayerSources.of(plan, Initialization.RANDOM, 30, 9)
                                .of(i)
                                .getFirst())
                        .toList());
    }
}
