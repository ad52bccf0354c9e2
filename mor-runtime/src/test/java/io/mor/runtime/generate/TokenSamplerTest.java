package io.mor.runtime.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** Draws have the distribution that they claim; fixed seeds. */
class TokenSamplerTest {

    private static final double[] LOGITS = {0.3, -1.1, 2.0, 2.0, Double.NEGATIVE_INFINITY, 0.3, 1.5};
    private static final int DRAWS = 40_000;

    private static GenerationRequest.Builder request() {
        return GenerationRequest.of(0).temperature(1);
    }

    private static int[] counts(GenerationRequest request) {
        TokenSampler sampler = new TokenSampler(request);
        int[] counts = new int[LOGITS.length];
        for (int i = 0; i < DRAWS; i++) {
            counts[sampler.sample(LOGITS, i)]++;
        }
        return counts;
    }

    private static Set<Integer> drawn(GenerationRequest request) {
        Set<Integer> ids = new TreeSet<>();
        int[] counts = counts(request);
        for (int id = 0; id < counts.length; id++) {
            if (counts[id] > 0) {
                ids.add(id);
            }
        }
        return ids;
    }

    /** Six standard deviations of a binomial count. */
    private static void assertDistribution(double[] expected, int[] counts) {
        for (int id = 0; id < expected.length; id++) {
            double mean = DRAWS * expected[id];
            double tolerance = 6 * Math.sqrt(mean * (1 - expected[id]));
            assertTrue(
                    Math.abs(counts[id] - mean) <= tolerance,
                    id + " was drawn " + counts[id] + " times, expected " + mean + " +- " + tolerance);
        }
    }

    private static double[] softmax(double temperature, Set<Integer> kept) {
        double[] p = new double[LOGITS.length];
        for (int id : kept) {
            p[id] = Math.exp(LOGITS[id] / temperature);
        }
        double sum = Arrays.stream(p).sum();
        return Arrays.stream(p).map(x -> x / sum).toArray();
    }

    @Test
    void drawsFollowTheSoftmaxAtAnyTemperature() {
        Set<Integer> all = Set.of(0, 1, 2, 3, 5, 6);
        for (double temperature : new double[] {0.5, 1, 3}) {
            assertDistribution(
                    softmax(temperature, all),
                    counts(request().temperature(temperature).seed(7).build()));
        }
    }

    @Test
    void topKKeepsTheMostLikelyAndTheLowerIdOfEquals() {
        assertEquals(Set.of(2), drawn(request().topK(1).build()), "ids 2 and 3 are equal");
        assertEquals(Set.of(2, 3, 6, 0), drawn(request().topK(4).build()), "ids 0 and 5 are equal");
        assertDistribution(
                softmax(1, Set.of(2, 3, 6)), counts(request().topK(3).seed(11).build()));
    }

    @Test
    void topPKeepsTheFewestThatReachTheProbability() {
        double[] p = softmax(1, Set.of(0, 1, 2, 3, 5, 6)); // 2 and 3: .33 each, 6: .20, 0 and 5: .06 each, 1: .01
        assertEquals(Set.of(2), drawn(request().topP(p[2] - 1e-9).build()));
        assertEquals(Set.of(2, 3), drawn(request().topP(p[2] + 1e-9).build()));
        assertEquals(Set.of(2, 3, 6), drawn(request().topP(p[2] + p[3] + 1e-9).build()));
        assertDistribution(
                softmax(1, Set.of(2, 3, 6)),
                counts(request().topP(p[2] + p[3] + 1e-9).seed(3).build()));
    }

    @Test
    void topPCountsTheProbabilitiesThatTopKLeaves() {
        // Of 2, 3 and 6 the first two have 0.767 of the probability, of all tokens only 0.66.
        assertEquals(Set.of(2, 3), drawn(request().topK(3).topP(0.7).build()));
        assertEquals(Set.of(2, 3, 6), drawn(request().topP(0.7).build()));
    }

    @Test
    void filtersThatKeepEverythingChangeNoDraw() {
        TokenSampler plain = new TokenSampler(request().seed(5).build());
        TokenSampler wide =
                new TokenSampler(request().seed(5).topK(LOGITS.length).topP(1).build());
        for (int i = 0; i < 1000; i++) {
            assertEquals(plain.sample(LOGITS, i), wide.sample(LOGITS, i));
        }
    }

    @Test
    void aTinyTemperatureTakesTheLargestWithoutOverflow() {
        assertEquals(Set.of(2, 3), drawn(request().temperature(1e-300).build()));
    }

    @Test
    void drawsDependOnSeedAndIndexOnly() {
        TokenSampler sampler = new TokenSampler(request().seed(1).build());
        int[] forward = new int[100];
        for (int i = 0; i < 100; i++) {
            forward[i] = sampler.sample(LOGITS, i);
        }
        TokenSampler again = new TokenSampler(request().seed(1).build());
        for (int i = 99; i >= 0; i--) {
            assertEquals(forward[i], again.sample(LOGITS, i));
        }
        TokenSampler other = new TokenSampler(request().seed(2).build());
        boolean differs = false;
        for (int i = 0; i < 100; i++) {
            differs |= other.sample(LOGITS, i) != forward[i];
        }
        assertTrue(differs, "another seed draws otherwise");
    }
}
