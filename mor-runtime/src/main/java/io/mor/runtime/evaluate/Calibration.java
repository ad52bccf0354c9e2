package io.mor.runtime.evaluate;

import java.util.List;
import java.util.Locale;
import java.util.stream.DoubleStream;

/**
 * What a calibration did.
 *
 * @param wanted for every recursion the share of all tokens that was to go through it
 * @param achieved the share that does, on the text that it was calibrated on
 * @param cutoffs the selector's new cut-offs; recursion 1 has none, its element is as it was
 * @param tokens of the text
 */
public record Calibration(List<Double> wanted, List<Double> achieved, List<Double> cutoffs, long tokens) {

    /** Copies the lists. */
    public Calibration {
        wanted = List.copyOf(wanted);
        achieved = List.copyOf(achieved);
        cutoffs = List.copyOf(cutoffs);
    }

    /** Mean number of recursions that was wanted. */
    public double wantedMeanDepth() {
        return wanted.stream().mapToDouble(Double::doubleValue).sum();
    }

    /** Mean number of recursions per token on that text. */
    public double meanDepth() {
        return achieved.stream().mapToDouble(Double::doubleValue).sum();
    }

    /** For people, one line a recursion. */
    public String table() {
        StringBuilder text = new StringBuilder("recursion     wanted   achieved    cut-off\n");
        for (int i = 0; i < wanted.size(); i++) {
            text.append(String.format(
                    Locale.ROOT,
                    "%9d  %8.2f%%  %8.2f%%  %s\n",
                    i + 1,
                    100 * wanted.get(i),
                    100 * achieved.get(i),
                    i == 0 ? "         -" : String.format(Locale.ROOT, "%10.5f", cutoffs.get(i))));
        }
        return text.append(String.format(
                        Locale.ROOT,
                        "mean depth %.3f of %.3f wanted, on %d tokens\n",
                        meanDepth(),
                        wantedMeanDepth(),
                        tokens))
                .toString();
    }

    /**
     * Capacities with a given sum whose first is 1, shaped like those of training: each to one power. Where training took everybody at
     * every recursion there is no shape to keep, and they fall geometrically.
     *
     * @param trained not increasing, first 1
     * @param meanDepth the sum, between 1 and the number of capacities
     */
    static List<Double> ofMeanDepth(List<Double> trained, double meanDepth) {
        int recursions = trained.size();
        if (meanDepth == recursions) {
            return trained.stream().map(share -> 1.0).toList();
        }
        boolean shapeless = trained.stream().allMatch(share -> share == 1);
        double[] shape = new double[recursions]; // ln of the capacity at power 1
        for (int i = 1; i < recursions; i++) {
            double log = shapeless ? -i : Math.log(Math.max(trained.get(i), 1e-9));
            shape[i] = Math.min(
                    shape[i - 1], Math.min(log, -1e-3 * i)); // a recursion that took everybody must be able to give way
        }
        double low = 0; // everybody
        double high = 1;
        while (sum(shape, high) > meanDepth && high < 1e9) {
            high *= 2;
        }
        for (int i = 0; i < 200; i++) {
            double middle = (low + high) / 2;
            if (sum(shape, middle) > meanDepth) {
                low = middle;
            } else {
                high = middle;
            }
        }
        double power = high;
        return DoubleStream.of(shape).map(log -> Math.exp(power * log)).boxed().toList();
    }

    private static double sum(double[] shape, double power) {
        return DoubleStream.of(shape).map(log -> Math.exp(power * log)).sum();
    }
}
