package io.mor.block.llama;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import java.util.List;

/**
 * What may differ from recursion to recursion although the layers are shared (spec 1.5). The defaults change nothing.
 *
 * @param adapter low-rank differences of linears
 * @param rank of the adapters
 * @param alpha adapters are scaled by {@code alpha / rank}
 * @param dropout on the input of adapters, in training
 * @param targets the linears that have adapters
 * @param start where adapters start from
 * @param prefix trained positions that the queries of every layer attend to besides; 0 for none
 * @param encoding whether the output of every pass is multiplied by a trained vector of its recursion
 * @param skipFirstLoop whether recursion 1 stays as it is
 */
public record RelaxationConfig(
        @Help("low-rank difference of each recursion's linears: none, lora, dora") @DefaultValue("none")
        Adapter adapter,

        @Help("rank of the adapters") @DefaultValue("16") @Range(min = 1)
        int rank,

        @Help("adapters are scaled by alpha / rank") @DefaultValue("32") @Range(min = 0, exclusiveMin = true)
        double alpha,

        @Help("dropout on the input of adapters in training") @DefaultValue("0.1") @Range(min = 0, max = 0.99)
        double dropout,

        @Help("linears that have adapters, of q, k, v, o, gate, up, down") @DefaultValue("[q, v]")
        List<Projection> targets,

        @Help("where adapters start: zero, or svd of what a full model's layers (model.start-from) have and the"
                + " shared one lacks")
        @DefaultValue("zero")
        AdapterStart start,

        @Help("trained positions that every layer's queries attend to besides; 0: none")
        @DefaultValue("0")
        @Range(min = 0)
        int prefix,

        @Help("whether each recursion's output is multiplied by a trained vector of its own") @DefaultValue("false")
        boolean encoding,

        @Help("whether recursion 1 stays as it is") @DefaultValue("false")
        boolean skipFirstLoop) {

    /** Nothing differs. */
    public static final RelaxationConfig NONE = new RelaxationConfig(
            Adapter.NONE, 16, 32, 0.1, List.of(Projection.Q, Projection.V), AdapterStart.ZERO, 0, false, false);

    /**
     * Checks what can be checked without the model.
     *
     * @throws IllegalArgumentException naming the key
     */
    public RelaxationConfig {
        targets = List.copyOf(targets);
        if (adapter != Adapter.NONE && targets.isEmpty()) {
            throw new IllegalArgumentException(
                    "model.block.relaxation.targets is empty: name the linears that have adapters, for example [q, v]");
        }
    }

    /** Factor of what adapters add. */
    double scale() {
        return alpha / rank;
    }

    boolean relaxes(int recursion) {
        return recursion > 1 || !skipFirstLoop;
    }
}
