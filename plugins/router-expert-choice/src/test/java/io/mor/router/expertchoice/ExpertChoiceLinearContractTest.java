package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterBench;
import io.mor.testkit.RouterContract;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The published best setting, with losses large enough for a gradient check to see. */
class ExpertChoiceLinearContractTest extends RouterContract {

    @Override
    protected Router createRouter(ModelShape shape) {
        ExpertChoiceConfigs config = new ExpertChoiceConfigs();
        config.coefficient = 0.3;
        config.zCoefficient = 0.2;
        return new ExpertChoiceRouter(config.build(), shape);
    }

    @Override
    protected Optional<double[]> closedForm(RouterBench bench, double[] row, int depth) {
        double[] value = row;
        for (int recursion = 1; recursion <= depth; recursion++) {
            double gate = 0.1 / (1 + Math.exp(-logit(bench, recursion, value)));
            value = Arrays.stream(value)
                    .map(x -> x + gate * RouterBench.block(x))
                    .toArray();
        }
        return Optional.of(value);
    }

    private static double logit(RouterBench bench, int recursion, double[] value) {
        double[] weights = bench.read(bench.parameter("router." + (recursion - 1) + ".weight"));
        double logit = 0;
        for (int i = 0; i < weights.length; i++) {
            logit += weights[i] * value[i];
        }
        return logit;
    }

    /** Binary cross-entropy of membership in the selection, and the squared logit, means over the candidates, summed over recursions. */
    @Override
    protected Map<String, Double> closedFormLosses(RouterBench bench, List<double[]> rows, RouterBench.Walk walk) {
        double sampling = 0;
        double z = 0;
        for (int recursion = 1; recursion <= RouterBench.RECURSIONS; recursion++) {
            int before = recursion - 1;
            List<Integer> selected = walk.selected().get(before);
            for (int row = 0; row < rows.size(); row++) {
                boolean candidate =
                        before == 0 || walk.selected().get(before - 1).contains(row);
                double candidates = before == 0
                        ? rows.size()
                        : walk.selected().get(before - 1).size();
                if (candidate) {
                    double logit = logit(
                            bench,
                            recursion,
                            closedForm(bench, rows.get(row), before).orElseThrow());
                    sampling += Math.log1p(Math.exp(selected.contains(row) ? -logit : logit)) / candidates;
                    z += logit * logit / candidates;
                }
            }
        }
        return Map.of("sampling-loss", sampling, "z-loss", z);
    }
}
