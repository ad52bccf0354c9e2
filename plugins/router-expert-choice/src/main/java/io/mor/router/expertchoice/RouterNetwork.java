package io.mor.router.expertchoice;

import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Initializer;
import io.mor.api.tensor.OptimizerGroup;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import java.util.List;

/**
 * The network of one router (spec 2.2).
 *
 * @param layers one matrix, or two with a GELU between them
 */
record RouterNetwork(List<Parameter> layers) {

    /**
     * A network of its own parameters.
     *
     * @param prefix of their names, with the dot
     */
    static RouterNetwork of(String prefix, Architecture architecture, int hidden, OptimizerGroup group) {
        Initializer fresh = new Initializer.ModelDefault();
        if (architecture.expansion() == 0) {
            return new RouterNetwork(List.of(new Parameter(prefix + "weight", 1, hidden, fresh, group)));
        }
        int inner = Math.multiplyExact(architecture.expansion(), hidden);
        return new RouterNetwork(List.of(
                new Parameter(prefix + "0.weight", inner, hidden, fresh, group),
                new Parameter(prefix + "2.weight", 1, inner, fresh, group)));
    }

    /** The logits of rows: {@code [rows, 1]}. */
    Tensor logits(CallContext context, Tensor rows) {
        Tensor first = context.ops().linear(rows, context.value(layers.getFirst()));
        if (layers.size() == 1) {
            return first;
        }
        return context.ops().linear(context.ops().apply(Unary.GELU, first), context.value(layers.getLast()));
    }
}
