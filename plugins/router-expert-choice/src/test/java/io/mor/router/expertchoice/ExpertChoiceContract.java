package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.testkit.RouterBench;
import io.mor.testkit.RouterContract;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The contract of one configuration of the router, held to its formulas. */
abstract class ExpertChoiceContract extends RouterContract {

    abstract ExpertChoiceConfigs config();

    @Override
    protected final Router createRouter(ModelShape shape) {
        return new ExpertChoiceRouter(config().build(), shape);
    }

    @Override
    protected final Optional<double[]> closedForm(RouterBench bench, double[] row, int depth) {
        return Optional.of(new ExpertChoiceFormulas(config(), bench).after(row, depth));
    }

    @Override
    protected final Map<String, Double> closedFormLosses(
            RouterBench bench, List<double[]> rows, RouterBench.Walk walk) {
        return new ExpertChoiceFormulas(config(), bench).losses(rows, walk);
    }
}
