package io.mor.router.tokenchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterBench;
import io.mor.testkit.RouterContract;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The published best setting, with a z-loss. */
class TokenChoiceSoftmaxContractTest extends RouterContract {

    @Override
    protected Router createRouter(ModelShape shape) {
        TokenChoiceConfigs config = new TokenChoiceConfigs();
        config.coefficient = 0.5;
        config.zCoefficient = 0.2;
        return new TokenChoiceRouter(config.build(), shape);
    }

    @Override
    protected boolean takesExactShares() {
        return false; // depths are the tokens' choice
    }

    @Override
    protected Optional<double[]> closedForm(RouterBench bench, double[] row, int depth) {
        double[] output = row;
        for (int recursion = 1; recursion <= depth; recursion++) {
            output = Arrays.stream(output).map(RouterBench::block).toArray();
        }
        double gate = probabilities(bench, row)[depth - 1];
        double[] value = row.clone();
        for (int i = 0; i < value.length; i++) {
            value[i] += gate * output[i];
        }
        return Optional.of(value);
    }

    private static double[] logits(RouterBench bench, double[] row) {
        double[] weights = bench.read(bench.parameter("router.weight"));
        double[] logits = new double[RouterBench.RECURSIONS];
        for (int i = 0; i < weights.length; i++) {
            logits[i / row.length] += weights[i] * row[i % row.length];
        }
        return logits;
    }

    private static double[] probabilities(RouterBench bench, double[] row) {
        double[] logits = logits(bench, row);
        double total = Arrays.stream(logits).map(Math::exp).sum();
        return Arrays.stream(logits).map(logit -> Math.exp(logit) / total).toArray();
    }

    /** Nr times the dot product of the depths' shares and mean probabilities, and the mean squared logsumexp. */
    @Override
    protected Map<String, Double> closedFormLosses(RouterBench bench, List<double[]> rows, RouterBench.Walk walk) {
        double balancing = 0;
        double z = 0;
        for (int depth = 1; depth <= RouterBench.RECURSIONS; depth++) {
            int chosen = depth;
            double share =
                    walk.depths().stream().filter(other -> other == chosen).count() / (double) rows.size();
            double mean = rows.stream()
                    .mapToDouble(row -> probabilities(bench, row)[chosen - 1])
                    .average()
                    .orElseThrow();
            balancing += RouterBench.RECURSIONS * share * mean;
        }
        for (double[] row : rows) {
            double logSumExp =
                    Math.log(Arrays.stream(logits(bench, row)).map(Math::exp).sum());
            z += logSumExp * logSumExp / rows.size();
        }
        return Map.of("balancing-loss", balancing, "z-loss", z);
    }
}
