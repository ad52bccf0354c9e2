package io.mor.report;

import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * How much losses differ from seed to seed, and so which differences between variants are more than that.
 *
 * <p>The standard deviation is pooled over all variants with two seeds or more, because that of two or three seeds alone says next to nothing. A
 * difference exceeds the spread if it is further from zero than Student's quantile of its standard error: chance alone does that in one of
 * twenty comparisons.
 *
 * @param pooled standard deviation over seeds, pooled over the variants
 * @param degrees of freedom: seeds less variants, at least 1
 */
record Spread(double pooled, int degrees) {

    /** 97.5 % quantiles of Student's distribution for 1 to 30 degrees of freedom. */
    private static final List<Double> QUANTILES = List.of(
            12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
            2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042);

    private static final double NORMAL = 1.960;

    /** The spread of several groups of losses; empty if no group has two. */
    static Optional<Spread> of(Collection<List<Double>> groups) {
        double squares = 0;
        int degrees = 0;
        for (List<Double> losses : groups) {
            double mean = mean(losses);
            for (double loss : losses) {
                squares += (loss - mean) * (loss - mean);
            }
            degrees += Math.max(0, losses.size() - 1);
        }
        return degrees == 0 ? Optional.empty() : Optional.of(new Spread(Math.sqrt(squares / degrees), degrees));
    }

    static double mean(List<Double> losses) {
        return losses.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN);
    }

    /** The sample's standard deviation; empty for fewer than two. */
    static Optional<Double> deviation(List<Double> losses) {
        return losses.size() < 2 ? Optional.empty() : of(List.of(losses)).map(Spread::pooled);
    }

    /** 97.5 % quantile of Student's distribution with these degrees of freedom, to 0.003. */
    double quantile() {
        return degrees <= QUANTILES.size()
                ? QUANTILES.get(degrees - 1)
                : NORMAL + (NORMAL * NORMAL * NORMAL + NORMAL) / (4.0 * degrees);
    }

    /** The difference of two means above which it exceeds the spread. */
    double threshold(int seeds, int otherSeeds) {
        return quantile() * pooled * Math.sqrt(1.0 / seeds + 1.0 / otherSeeds);
    }
}
