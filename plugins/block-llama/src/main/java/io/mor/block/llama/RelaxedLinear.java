package io.mor.block.llama;

import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Initializer;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.OptimizerGroup;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A linear map that recursions share, and what each recursion adds to it (spec 1.5): {@code W + (alpha / rank) B A}; with DoRA the rows of that,
 * scaled to trained lengths. Immutable.
 */
final class RelaxedLinear {

    /** What one recursion has of its own; {@code magnitude [1, out]} with DoRA. */
    private record Own(String name, Parameter down, Parameter up, Optional<Parameter> magnitude) {}

    private final Parameter weight;
    private final RelaxationConfig config;
    private final List<Optional<Own>> own;

    /**
     * A map that may have adapters.
     *
     * @param visits number of recursions that share it; with one there is nothing to adapt
     */
    RelaxedLinear(Parameter weight, Projection projection, RelaxationConfig config, int visits) {
        this.weight = weight;
        this.config = config;
        List<Optional<Own>> made = new ArrayList<>();
        boolean adapted = visits > 1
                && config.adapter() != Adapter.NONE
                && config.targets().contains(projection);
        for (int recursion = 1; adapted && recursion <= visits; recursion++) {
            made.add(config.relaxes(recursion) ? Optional.of(own(recursion)) : Optional.empty());
        }
        this.own = List.copyOf(made);
    }

    private Own own(int recursion) {
        String name = weight.name().replaceFirst("\\.weight$", "") + "." + recursion;
        int in = weight.columns();
        int out = weight.rows();
        // The variance of PyTorch's default for linears, in which the published code starts adapters.
        Initializer random = new Initializer.Normal(1 / Math.sqrt(3.0 * in));
        Initializer zero = new Initializer.Constant(0);
        boolean svd = config.start() == AdapterStart.SVD;
        Initializer startDown = svd
                ? new Initializer.ResidualFactor(
                        weight.name(), recursion, Initializer.Side.RIGHT, config.rank(), 1, random)
                : random;
        // The published code forgets that what it adds is scaled; here the sum starts where the decomposition says.
        Initializer startUp = svd
                ? new Initializer.ResidualFactor(
                        weight.name(), recursion, Initializer.Side.LEFT, config.rank(), 1 / config.scale(), zero)
                : zero;
        return new Own(
                name,
                new Parameter(name + ".lora_a.weight", config.rank(), in, startDown, OptimizerGroup.DECAYED),
                new Parameter(name + ".lora_b.weight", out, config.rank(), startUp, OptimizerGroup.DECAYED),
                config.adapter() == Adapter.DORA
                        ? Optional.of(new Parameter(
                                name + ".magnitude",
                                1,
                                out,
                                new Initializer.RowNorms(weight.name(), svd ? recursion : 0),
                                OptimizerGroup.UNDECAYED))
                        : Optional.empty());
    }

    Parameter weight() {
        return weight;
    }

    List<Parameter> adapters() {
        List<Parameter> all = new ArrayList<>();
        own.forEach(each -> each.ifPresent(adapter -> {
            all.add(adapter.down());
            all.add(adapter.up());
            adapter.magnitude().ifPresent(all::add);
        }));
        return all;
    }

    /** {@code [rows, in]} to {@code [rows, out]}. */
    Tensor apply(Recursions rows, Tensor x) {
        Tensor shared = rows.ops().linear(x, rows.context().value(weight));
        if (own.isEmpty()) {
            return shared;
        }
        return rows.choose(recursion -> own.get(recursion - 1)
                .map(adapter -> adapted(rows.context(), adapter, x, shared))
                .orElse(shared));
    }

    private Tensor adapted(CallContext context, Own adapter, Tensor x, Tensor shared) {
        Ops ops = context.ops();
        Tensor dropped = config.dropout() == 0
                ? x
                : ops.dropout(x, config.dropout(), context.random("dropout " + adapter.name()));
        Tensor inner = ops.linear(dropped, context.value(adapter.down())); // [rows, rank]
        Tensor added = ops.scale(ops.linear(inner, context.value(adapter.up())), config.scale());
        Tensor sum = ops.add(shared, added);
        return adapter.magnitude().isEmpty()
                ? sum
                : ops.multiplyRow(
                        sum,
                        lengthFactors(
                                context,
                                adapter,
                                context.value(adapter.magnitude().get())));
    }

    /**
     * Wanted over actual lengths of the rows of {@code W + s B A}: {@code [1, out]}. The sum is not formed: {@code |w + s b A|^2 = |w|^2 + 2 s b . (A w)
     * + s^2 b (A A^T) b^T}.
     */
    private Tensor lengthFactors(CallContext context, Own adapter, Tensor wanted) {
        Ops ops = context.ops();
        Tensor w = context.value(weight); // [out, in]
        Tensor a = context.value(adapter.down()); // [rank, in]
        Tensor b = context.value(adapter.up()); // [out, rank]
        double s = config.scale();
        Tensor cross = ops.multiply(b, ops.linear(w, a)); // [out, rank]
        Tensor quadratic = ops.multiply(b, ops.linear(b, ops.linear(a, a))); // [out, rank]
        Tensor low = ops.add(ops.scale(cross, 2 * s), ops.scale(quadratic, s * s));
        Tensor squares = ops.add(rowSums(ops, ops.apply(Unary.SQUARE, w)), rowSums(ops, low)); // [1, out]
        return ops.multiply(wanted, ops.apply(Unary.RECIPROCAL, ops.apply(Unary.SQRT, squares)));
    }

    /** Sums of the rows, side by side: {@code [1, rows]}. */
    private static Tensor rowSums(Ops ops, Tensor x) {
        return ops.linear(ops.constant(Extent.exact(1), x.columns(), 1), x);
    }

    /** Multiply-adds of one row, the mean over recursions. */
    long multiplyAddsPerRow() {
        long shared = (long) weight.rows() * weight.columns();
        long adapters = own.stream().filter(Optional::isPresent).count();
        return own.isEmpty()
                ? shared
                : shared + adapters * config.rank() * (weight.rows() + weight.columns()) / own.size();
    }
}
