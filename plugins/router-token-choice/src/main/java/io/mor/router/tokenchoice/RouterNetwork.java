package io.mor.router.tokenchoice;

import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import java.util.List;

/**
 * The router's network (spec 2.2).
 *
 * @param layers one matrix, or two with a GELU between them
 */
record RouterNetwork(List<Parameter> layers) {

    /** A network with one logit per depth. */
    static RouterNetwork of(Architecture architecture, int hidden, int depths) {
        if (architecture.expansion() == 0) {
            return new RouterNetwork(List.of(Parameter.weight("router.weight", depths, hidden)));
        }
        int inner = Math.multiplyExact(architecture.expansion(), hidden);
        return new RouterNetwork(List.of(
                Parameter.weight("router.0.weight", inner, hidden),
                Parameter.weight("router.2.weight", depths, inner)));
    }

    /** The logits of rows: {@code [rows, depths]}. */
    Tensor logits(CallContext context, Tensor rows) {
        Tensor first = context.ops().linear(rows, context.value(layers.getFirst()));
        if (layers.size() == 1) {
            return first;
        }
        return context.ops().linear(context.ops().apply(Unary.GELU, first), context.value(layers.getLast()));
    }
}
