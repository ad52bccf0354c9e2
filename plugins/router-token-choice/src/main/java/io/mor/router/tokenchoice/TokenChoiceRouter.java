package io.mor.router.tokenchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.routing.RouterContext;
import io.mor.api.routing.Routing;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.StateBuffer;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import jakarta.inject.Inject;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Every token chooses its depth (spec 3): one router scores the depths 1 to Nr on the rows that enter recursion 1, and a token runs as many
 * recursions as its best one says. Causal by construction. The published code's update (spec 3.2): {@code H <- B(H)} before the last
 * recursion of a token, at the last one {@code H1 + w * B(H)} with H1 the row as it entered and w the probability of the chosen depth.
 *
 * <p>Parameters: {@code router.weight [Nr, hidden]}, or {@code router.0.weight [inner, hidden]} and {@code router.2.weight [Nr, inner]}. Buffers,
 * with loss-free balancing: {@code router.bias [1, Nr]}, added to the probabilities for the choice only, and {@code router.load [1, Nr]}, the
 * tokens per depth since the last optimizer step.
 *
 * <p>While balancing warms up every token gets the maximum depth and no load is counted, so that biases stay 0; the balancing loss and the
 * figures are about the depths that the router would choose, because a loss on imposed depths would push their probability down.
 *
 * <p>Losses: {@code balancing-loss}, {@code z-loss}. Figures: {@code load} (share of each depth), {@code max-violation}, {@code
 * routing-entropy}; none in causal calls. Immutable, safe for concurrent calls.
 */
public final class TokenChoiceRouter implements Router {

    private static final String DEPTH = "depth";
    private static final String GATE = "gate";
    private static final String ENTRY = "entry";

    private final TokenChoiceConfig config;
    private final int recursions;
    private final RouterNetwork network;
    private final StateBuffer bias;
    private final StateBuffer load;

    /** A router for a model. */
    @Inject
    public TokenChoiceRouter(TokenChoiceConfig config, ModelShape shape) {
        this.config = config;
        this.recursions = shape.recursions();
        this.network = RouterNetwork.of(config.architecture(), shape.hidden(), recursions);
        this.bias = new StateBuffer("router.bias", 1, recursions, 0);
        this.load = new StateBuffer("router.load", 1, recursions, 0);
    }

    @Override
    public List<Parameter> parameters() {
        return network.layers();
    }

    @Override
    public List<StateBuffer> buffers() {
        return config.balancing() == Balancing.LOSS_FREE ? List.of(bias, load) : List.of();
    }

    @Override
    public boolean updatesByGatedAddition() {
        return false;
    }

    @Override
    public RoutingState begin(RouterContext context, TokenBatch batch, Tensor rows) {
        Ops ops = context.ops();
        Tensor input = config.temperature() == 1 ? rows : ops.scale(rows, 1 / config.temperature());
        Tensor logits = network.logits(context, input); // [rows, Nr]
        Tensor probabilities = probabilities(ops, logits);
        Tensor choice = ops.detach(probabilities);
        if (config.balancing() == Balancing.LOSS_FREE) {
            choice = ops.addRow(choice, context.value(bias));
        }
        IntTensor preferred = ops.argMax(choice);
        OptionalInt imposed = imposedDepth(context);
        IntTensor chosen = imposed.isPresent() ? ops.ints(everywhere(imposed.getAsInt() - 1, batch.rows())) : preferred;
        if (context.phase() != Phase.CAUSAL) {
            learn(context, logits, probabilities, DepthLoad.of(ops, preferred, batch.extent(), recursions));
        }
        return RoutingState.NONE
                .with(DEPTH, ops.affine(ops.toColumn(chosen, batch.extent()), 1, 1))
                .with(GATE, ops.pickColumn(probabilities, chosen))
                .with(ENTRY, rows);
    }

    private Tensor probabilities(Ops ops, Tensor logits) {
        Tensor unscaled = switch (config.function()) {
            case SOFTMAX -> ops.softmax(logits);
            case SIGMOID -> ops.apply(Unary.SIGMOID, logits);
        };
        return config.alpha() == 1 ? unscaled : ops.scale(unscaled, config.alpha());
    }

    private OptionalInt imposedDepth(RouterContext context) {
        if (context.fixedDepth().isPresent()) {
            return OptionalInt.of(Math.min(recursions, context.fixedDepth().getAsInt()));
        }
        return warmingUp(context) ? OptionalInt.of(recursions) : OptionalInt.empty();
    }

    private boolean warmingUp(CallContext context) {
        return context.phase() == Phase.TRAINING && context.microBatch() < config.balanceWarmupSteps();
    }

    private static int[] everywhere(int value, int length) {
        int[] values = new int[length];
        Arrays.fill(values, value);
        return values;
    }

    private void learn(RouterContext context, Tensor logits, Tensor probabilities, DepthLoad depths) {
        Ops ops = context.ops();
        Tensor shares = depths.shares(ops);
        switch (config.balancing()) {
            case LOSS -> // f = Nr * share, P = mean probability
                context.loss(
                        "balancing-loss",
                        ops.rowDot(ops.columnMean(probabilities), ops.scale(shares, recursions)),
                        config.coefficient());
            case LOSS_FREE -> {
                if (context.phase() == Phase.TRAINING && !warmingUp(context)) {
                    context.assign(load, ops.add(context.value(load), depths.counts(ops)));
                }
            }
            case NONE -> {}
        }
        context.loss("z-loss", ops.mean(ops.apply(Unary.SQUARE, ops.rowLogSumExp(logits))), config.zCoefficient());
        context.metric("load", shares);
        context.metric("max-violation", depths.maximalViolation(ops));
        context.metric("routing-entropy", DepthLoad.entropy(ops, probabilities));
    }

    /** Moves the biases by {@code update-rate * sign(mean load - load)} (spec 3.4). Loads are counts, so that equality is exact. */
    @Override
    public void afterOptimizerStep(CallContext context) {
        if (config.balancing() != Balancing.LOSS_FREE) {
            return;
        }
        Ops ops = context.ops();
        Tensor counts = context.value(load);
        Tensor total = ops.scaleRows(ops.constant(Extent.exact(1), recursions, 1), ops.rowSum(counts)); // [1, Nr]
        Tensor lack = ops.subtract(total, ops.scale(counts, recursions)); // Nr * (mean load - load)
        Tensor sign = ops.subtract(ops.compare(lack, Comparison.GREATER, 0), ops.compare(lack, Comparison.LESS, 0));
        context.assign(bias, ops.add(context.value(bias), ops.scale(sign, config.updateRate())));
        context.assign(load, ops.constant(Extent.exact(1), recursions, 0));
    }

    @Override
    public Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state) {
        Ops ops = context.ops();
        Optional<Tensor> gate = config.gating() == Gating.WEIGHTED ? Optional.of(state.get(GATE)) : Optional.empty();
        if (batch.isUniform() && batch.segments().getFirst().recursion() == 1) {
            return new Routing(Optional.empty(), state, gate);
        }
        Tensor recursion = ops.toColumn(batch.recursion(), batch.extent());
        Tensor goesOn = ops.compareElements(state.get(DEPTH), Comparison.AT_LEAST, recursion);
        return new Routing(Optional.of(ops.compact(goesOn, Optional.empty())), state, gate);
    }

    @Override
    public Tensor update(
            RouterContext context,
            TokenBatch batch,
            Tensor previous,
            Tensor output,
            RoutingState state,
            Optional<Tensor> gate) {
        Ops ops = context.ops();
        if (batch.isUniform() && batch.segments().getFirst().recursion() == recursions) {
            return finished(ops, state.get(ENTRY), output, gate);
        }
        // Finished rows are replaced, not blended in by masks: the others stay bit for bit, and no row's NaN reaches
        // another value.
        Tensor recursion = ops.toColumn(batch.recursion(), batch.extent());
        Ops.Rows last =
                ops.compact(ops.compareElements(state.get(DEPTH), Comparison.EQUAL, recursion), Optional.empty());
        Tensor value = finished(
                ops,
                gather(ops, state.get(ENTRY), last),
                gather(ops, output, last),
                gate.map(weights -> gather(ops, weights, last)));
        return ops.replaceRows(output, last.index(), value);
    }

    private static Tensor finished(Ops ops, Tensor entry, Tensor output, Optional<Tensor> gate) {
        return ops.add(entry, gate.isPresent() ? ops.scaleRows(output, gate.get()) : output);
    }

    private static Tensor gather(Ops ops, Tensor values, Ops.Rows rows) {
        return ops.gatherRows(values, rows.index(), rows.extent());
    }
}
