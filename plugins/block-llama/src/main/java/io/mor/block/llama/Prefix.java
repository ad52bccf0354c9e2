package io.mor.block.llama;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Initializer;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.OptimizerGroup;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Trained positions that all queries of a layer attend to besides the text, of their own in every recursion (adaption prompts, Zhang et al., 2023;
 * spec 1.5). They go through the layer's key and value projections, have no position, a softmax of their own, and a gate that starts at 0,
 * so that the model starts as it would without them. Immutable.
 */
final class Prefix {

    private final int length;
    private final List<Optional<Parameter>> prompts;
    private final Parameter gate;

    /** The prefix of a layer, {@code relaxation.prefix} positions for each of {@code visits} recursions. */
    Prefix(String layer, int width, RelaxationConfig config, int visits) {
        this.length = config.prefix();
        List<Optional<Parameter>> made = new ArrayList<>();
        for (int recursion = 1; recursion <= visits; recursion++) {
            boolean relaxed = visits == 1 || config.relaxes(recursion);
            made.add(
                    relaxed
                            ? Optional.of(Parameter.weight(layer + "prefix." + recursion + ".weight", length, width))
                            : Optional.empty());
        }
        this.prompts = List.copyOf(made);
        this.gate =
                new Parameter(layer + "prefix.gate", visits, 1, new Initializer.Constant(0), OptimizerGroup.UNDECAYED);
    }

    List<Parameter> parameters() {
        List<Parameter> all = new ArrayList<>();
        prompts.forEach(prompt -> prompt.ifPresent(all::add));
        all.add(gate);
        return all;
    }

    /**
     * What the queries find in the prefix, gated: {@code [rows, heads * headDim]}.
     *
     * @param queries rotated
     */
    Tensor attend(Recursions rows, AttentionShape shape, Tensor queries, RelaxedLinear keys, RelaxedLinear values) {
        Ops ops = rows.ops();
        IntTensor start = rows.map(recursion -> 0);
        IntTensor end = rows.map(recursion -> length);
        AttentionRanges all = new AttentionRanges(start, end, Optional.empty(), length);
        return rows.choose(recursion -> {
            Optional<Parameter> prompt = prompts.get(recursion - 1);
            if (prompt.isEmpty()) {
                return ops.constant(queries.extent(), queries.columns(), 0);
            }
            Tensor positions = rows.context().value(prompt.get());
            Tensor k = ops.linear(positions, rows.context().value(keys.weight()));
            Tensor v = ops.linear(positions, rows.context().value(values.weight()));
            Tensor found = ops.attention(queries, k, v, all, shape);
            Tensor open = ops.gatherRows(
                    rows.context().value(gate), rows.map(any -> recursion - 1), queries.extent()); // [rows, 1]
            return ops.scaleRows(found, open);
        });
    }
}
