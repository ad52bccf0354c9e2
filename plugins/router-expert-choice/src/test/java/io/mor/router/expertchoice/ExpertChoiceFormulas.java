package io.mor.router.expertchoice;

import io.mor.testkit.Formulas;
import io.mor.testkit.RouterBench;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Spec 2.1 to 2.8 for one token at a time, in doubles. */
final class ExpertChoiceFormulas {

    private final ExpertChoiceConfigs config;
    private final RouterBench bench;

    ExpertChoiceFormulas(ExpertChoiceConfigs config, RouterBench bench) {
        this.config = config;
        this.bench = bench;
    }

    /** What becomes of a row after so many recursions: {@code H + w * B(H)} each. */
    double[] after(double[] row, int depth) {
        double[] value = row;
        for (int recursion = 1; recursion <= depth; recursion++) {
            double gate = gate(recursion, value);
            value = Arrays.stream(value)
                    .map(x -> x + gate * RouterBench.block(x))
                    .toArray();
        }
        return value;
    }

    private double gate(int recursion, double[] value) {
        if (config.gating == Gating.ADDITIVE) {
            return 1;
        }
        double logit = logit("router.", recursion, scaled(value));
        return switch (config.function) {
            case NONE -> logit; // without alpha
            case SIGMOID -> config.alpha * Formulas.sigmoid(logit);
            case TANH -> config.alpha * Math.tanh(logit);
        };
    }

    private double[] scaled(double[] value) {
        return Arrays.stream(value).map(x -> x / config.temperature).toArray();
    }

    private double logit(String network, int recursion, double[] input) {
        String prefix = network + (recursion - 1) + ".";
        if (config.architecture == Architecture.LINEAR) {
            return Formulas.linear(weights(prefix + "weight"), input)[0];
        }
        double[] inner = Arrays.stream(Formulas.linear(weights(prefix + "0.weight"), input))
                .map(Formulas::gelu)
                .toArray();
        int widening = config.architecture == Architecture.MLP ? 2 : 4;
        if (inner.length != widening * input.length) {
            throw new AssertionError("the inner layer has " + inner.length + " outputs");
        }
        return Formulas.linear(weights(prefix + "2.weight"), inner)[0];
    }

    private double[] weights(String name) {
        return bench.read(bench.parameter(name));
    }

    /**
     * Binary cross-entropy of membership in the selection, and the squared logit, means over the candidates, summed over recursions. An auxiliary
     * router predicts from the row itself, the router from the row divided by the temperature.
     */
    Map<String, Double> losses(List<double[]> rows, RouterBench.Walk walk) {
        double sampling = 0;
        double z = 0;
        for (int recursion = 1; recursion <= RouterBench.RECURSIONS; recursion++) {
            int before = recursion - 1;
            List<Integer> selected = walk.selected().get(before);
            int candidates =
                    before == 0 ? rows.size() : walk.selected().get(before - 1).size();
            for (int row = 0; row < rows.size(); row++) {
                if (before == 0 || walk.selected().get(before - 1).contains(row)) {
                    double[] value = after(rows.get(row), before);
                    double logit = logit("router.", recursion, scaled(value));
                    double predictor =
                            config.sampling == Sampling.AUX_ROUTER ? logit("aux_router.", recursion, value) : logit;
                    sampling += Formulas.crossEntropy(predictor, selected.contains(row)) / candidates;
                    z += logit * logit / candidates;
                }
            }
        }
        return Map.of("sampling-loss", sampling, "z-loss", z);
    }
}
