package io.mor.runtime.evaluate;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.stream.IntStream;

/**
 * What one rule of selection gives on a text.
 *
 * @param loss mean negative log-likelihood in nats per token
 * @param bitsPerByte the same in bits per byte of the text; empty without a tokenizer
 * @param depthShares share of the tokens that ran exactly d recursions, for d from 0 to Nr; they add up to 1
 * @param deadTokenRatio share of the positions of a row that the last recursion never took, in no row (spec 2.9)
 * @param routerFigures what the router reported, by kebab-case name: losses summed over a call, metrics averaged over it, both averaged over
 *     the calls
 */
public record SelectionFigures(
        double loss,
        OptionalDouble bitsPerByte,
        List<Double> depthShares,
        double deadTokenRatio,
        Map<String, Double> routerFigures) {

    /** Copies the collections, in their order. */
    public SelectionFigures {
        depthShares = List.copyOf(depthShares);
        routerFigures = Collections.unmodifiableMap(new LinkedHashMap<>(routerFigures));
    }

    /** Nr; 1 for a vanilla model. */
    public int recursions() {
        return depthShares.size() - 1;
    }

    /** {@code exp(loss)}. */
    public double perplexity() {
        return Math.exp(loss);
    }

    /** Mean number of recursions per token. */
    public double meanDepth() {
        return IntStream.range(0, depthShares.size())
                .mapToDouble(depth -> depth * depthShares.get(depth))
                .sum();
    }

    /** Share of the tokens that go through a recursion (from 1). */
    public double shareOfRecursion(int recursion) {
        return depthShares.subList(recursion, depthShares.size()).stream()
                .mapToDouble(Double::doubleValue)
                .sum();
    }

    /** {@code (largest load - mean load) / mean load} over the depths 1 to Nr (spec 3.4); 0 when all depths are used alike. */
    public double maxVio() {
        double mean = shareOfRecursion(1) / recursions();
        double largest = depthShares.subList(1, depthShares.size()).stream()
                .mapToDouble(Double::doubleValue)
                .max()
                .orElse(0);
        return mean == 0 ? 0 : (largest - mean) / mean;
    }

    /** Entropy in nats of the shares of the depths; {@code ln Nr} when all are used alike (spec 3.4, on assignments). */
    public double depthEntropy() {
        return depthShares.stream()
                        .filter(share -> share > 0)
                        .mapToDouble(share -> -share * Math.log(share))
                        .sum()
                + 0.0;
    }
}
