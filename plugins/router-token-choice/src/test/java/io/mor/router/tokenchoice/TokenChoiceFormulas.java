package io.mor.router.tokenchoice;

import io.mor.testkit.Formulas;
import io.mor.testkit.RouterBench;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Spec 3.1, 3.2 and 3.4 for one token at a time, in doubles; biases at their start, which is 0. */
final class TokenChoiceFormulas {

    private final TokenChoiceConfigs config;
    private final RouterBench bench;

    TokenChoiceFormulas(TokenChoiceConfigs config, RouterBench bench) {
        this.config = config;
        this.bench = bench;
    }

    /** What becomes of a row after so many recursions: {@code H1 + w * B(... B(H1))}, as the released code has it. */
    double[] after(double[] row, int depth) {
        double[] output = row;
        for (int recursion = 1; recursion <= depth; recursion++) {
            output = Arrays.stream(output).map(RouterBench::block).toArray();
        }
        double gate = config.gating == Gating.ADDITIVE ? 1 : probabilities(row)[depth - 1];
        double[] value = row.clone();
        for (int i = 0; i < value.length; i++) {
            value[i] += gate * output[i];
        }
        return value;
    }

    private double[] logits(double[] row) {
        double[] input = Arrays.stream(row).map(x -> x / config.temperature).toArray();
        if (config.architecture == Architecture.LINEAR) {
            return Formulas.linear(weights("router.weight"), input);
        }
        double[] inner = Arrays.stream(Formulas.linear(weights("router.0.weight"), input))
                .map(Formulas::gelu)
                .toArray();
        int widening = config.architecture == Architecture.MLP ? 2 : 4;
        if (inner.length != widening * input.length) {
            throw new AssertionError("the inner layer has " + inner.length + " outputs");
        }
        return Formulas.linear(weights("router.2.weight"), inner);
    }

    private double[] weights(String name) {
        return bench.read(bench.parameter(name));
    }

    private double[] probabilities(double[] row) {
        double[] logits = logits(row);
        double total = Formulas.logSumExp(logits);
        return Arrays.stream(logits)
                .map(logit -> config.alpha
                        * switch (config.function) {
                            case SOFTMAX -> Math.exp(logit - total);
                            case SIGMOID -> Formulas.sigmoid(logit);
                        })
                .toArray();
    }

    /** The depth whose probability is largest. */
    private int depth(double[] row) {
        double[] probabilities = probabilities(row);
        int best = 0;
        for (int i = 1; i < probabilities.length; i++) {
            best = probabilities[i] > probabilities[best] ? i : best;
        }
        return best + 1;
    }

    /** Where it is asked for, Nr times the dot product of the depths' shares and mean probabilities; and the mean squared logsumexp. */
    Map<String, Double> losses(List<double[]> rows, RouterBench.Walk walk) {
        if (!walk.depths().equals(rows.stream().map(this::depth).toList())) {
            throw new AssertionError("depths are " + walk.depths() + ", not "
                    + rows.stream().map(this::depth).toList());
        }
        Map<String, Double> losses = new LinkedHashMap<>();
        if (config.balancing == Balancing.LOSS) {
            double balancing = 0;
            for (int depth = 1; depth <= RouterBench.RECURSIONS; depth++) {
                int chosen = depth;
                double share = rows.stream().filter(row -> depth(row) == chosen).count() / (double) rows.size();
                double mean = rows.stream()
                        .mapToDouble(row -> probabilities(row)[chosen - 1])
                        .average()
                        .orElseThrow();
                balancing += RouterBench.RECURSIONS * share * mean;
            }
            losses.put("balancing-loss", balancing);
        }
        losses.put(
                "z-loss",
                rows.stream()
                        .mapToDouble(row -> Math.pow(Formulas.logSumExp(logits(row)), 2))
                        .average()
                        .orElseThrow());
        return losses;
    }
}
