package io.mor.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;

class SpreadTest {

    @Test
    void withoutTwoSeedsOfAnyVariantThereIsNoSpread() {
        assertEquals(Optional.empty(), Spread.of(List.of(List.of(1.0), List.of(), List.of(2.0))));
        assertEquals(Optional.empty(), Spread.deviation(List.of(1.0)));
    }

    @Test
    void theDeviationIsPooledOverVariantsAndKnowsNothingOfTheirMeans() {
        Spread spread = Spread.of(List.of(List.of(1.0, 3.0), List.of(10.0, 12.0, 14.0), List.of(7.0)))
                .orElseThrow();
        assertEquals(3, spread.degrees());
        assertEquals(Math.sqrt((2.0 + 8.0) / 3), spread.pooled(), 1e-12);
        assertEquals(Math.sqrt(2), Spread.deviation(List.of(1.0, 3.0)).orElseThrow(), 1e-12);
    }

    @Test
    void quantilesAreStudents() {
        assertEquals(12.706, new Spread(1, 1).quantile());
        assertEquals(2.042, new Spread(1, 30).quantile());
        assertEquals(2.0395, new Spread(1, 31).quantile(), 0.003);
        assertEquals(2.000, new Spread(1, 60).quantile(), 0.003);
        assertEquals(1.984, new Spread(1, 100).quantile(), 0.003);
        for (int degrees = 1; degrees < 200; degrees++) {
            assertTrue(new Spread(1, degrees).quantile() > new Spread(1, degrees + 1).quantile(), "at " + degrees);
        }
    }

    @Test
    void chanceAloneExceedsTheSpreadInOneOfTwentyComparisons() {
        long seed = 20260102;
        Random random = new Random(seed);
        int rounds = 4000;
        int exceeded = 0;
        for (int round = 0; round < rounds; round++) {
            List<List<Double>> variants = List.of(draw(random, 3), draw(random, 3), draw(random, 2), draw(random, 1));
            Spread spread = Spread.of(variants).orElseThrow();
            double difference = Math.abs(Spread.mean(variants.get(0)) - Spread.mean(variants.get(3)));
            exceeded += difference > spread.threshold(3, 1) ? 1 : 0;
        }
        assertEquals(0.05, (double) exceeded / rounds, 0.012, "seed " + seed);
    }

    private static List<Double> draw(Random random, int count) {
        return DoubleStream.generate(random::nextGaussian).limit(count).boxed().toList();
    }
}
