package io.mor.router.expertchoice;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.RecursionSegment;
import io.mor.api.routing.Router;
import io.mor.api.routing.RouterContext;
import io.mor.api.routing.Routing;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.Selection;
import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.OptimizerGroup;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import jakarta.inject.Inject;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Every recursion chooses its tokens (spec 2): a router of its own scores the rows still active, the {@code max(1, floor(capacity * length))}
 * best of each sequence go on, and {@code alpha * G(logit)} weighs what the block adds to them. In {@link Phase#CAUSAL} calls the configured
 * selector decides instead, and recursion 1 takes every row.
 *
 * <p>Parameters: {@code router.{i}.weight [1, hidden]}, or {@code router.{i}.0.weight [inner, hidden]} and {@code router.{i}.2.weight [1, inner]},
 * i from 0; with an auxiliary router the same under {@code aux_router.{i}.}, in {@link OptimizerGroup#AUXILIARY}.
 *
 * <p>Losses, per recursion: {@code sampling-loss} (mean binary cross-entropy over the candidates) and {@code z-loss} (mean squared logit).
 * Figures: {@code sampling-accuracy} (over all recursions, and of each as {@code sampling-accuracy-{r}}), {@code selected-share-{r}}; none in causal calls. Immutable, safe for concurrent calls.
 */
public final class ExpertChoiceRouter implements Router {

    private final ExpertChoiceConfig config;
    private final CapacitySchedule schedule;
    private final List<RouterNetwork> routers = new ArrayList<>();
    private final List<RouterNetwork> predictors = new ArrayList<>();
    private final List<Parameter> parameters;

    /**
     * A router for a model.
     *
     * @throws IllegalArgumentException naming the key if the config does not fit the model
     */
    @Inject
    public ExpertChoiceRouter(ExpertChoiceConfig config, ModelShape shape) {
        this.config = config;
        this.schedule = CapacitySchedule.of(
                config.capacity(), shape.recursions(), config.capacityWarmupSteps(), config.capacityWarmupStages());
        for (int i = 0; i < shape.recursions(); i++) {
            routers.add(RouterNetwork.of(
                    "router." + i + ".", config.architecture(), shape.hidden(), OptimizerGroup.DECAYED));
            if (config.sampling() == Sampling.AUX_ROUTER) {
                predictors.add(RouterNetwork.of(
                        "aux_router." + i + ".", config.architecture(), shape.hidden(), OptimizerGroup.AUXILIARY));
            }
        }
        this.parameters = Stream.concat(routers.stream(), predictors.stream())
                .flatMap(network -> network.layers().stream())
                .toList();
    }

    @Override
    public List<Parameter> parameters() {
        return parameters;
    }

    @Override
    public boolean needsSelector() {
        return true;
    }

    @Override
    public double expectedShare(int recursion, int recursions) {
        return schedule.at(recursion);
    }

    /**
     * What is decided for candidates at one recursion.
     *
     * @param selection which go on; empty if all do
     * @param gate {@code [rows, 1]}; empty for 1
     */
    private record Decision(Optional<Selection> selection, Optional<Tensor> gate) {}

    @Override
    public Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state) {
        Ops ops = context.ops();
        if (batch.isUniform()) {
            Decision decision =
                    decide(context, batch, batch.segments().getFirst().recursion(), rows);
            Optional<Ops.Rows> selected =
                    decision.selection().map(selection -> ops.compact(selection.mask(), selection.exact()));
            return new Routing(selected, RoutingState.NONE, decision.gate());
        }
        List<Tensor> masks = new ArrayList<>();
        List<Tensor> gates = new ArrayList<>();
        for (RecursionSegment segment : batch.segments()) {
            Tensor part = ops.sliceRows(rows, segment.firstRow(), segment.extent());
            Decision decision = decide(context, batch.segment(ops, segment), segment.recursion(), part);
            masks.add(decision.selection().map(Selection::mask).orElseGet(() -> ops.constant(segment.extent(), 1, 1)));
            decision.gate().ifPresent(gates::add);
        }
        Ops.Rows selected = ops.compact(ops.concatRows(masks), Optional.empty());
        Optional<Tensor> gate = gates.isEmpty() ? Optional.empty() : Optional.of(ops.concatRows(gates));
        return new Routing(Optional.of(selected), RoutingState.NONE, gate);
    }

    private Decision decide(RouterContext context, TokenBatch batch, int recursion, Tensor rows) {
        Ops ops = context.ops();
        Tensor input = config.temperature() == 1 ? rows : ops.scale(rows, 1 / config.temperature());
        Tensor logits = routers.get(recursion - 1).logits(context, input); // [rows, 1]
        Optional<Tensor> gate = gate(ops, logits);
        boolean causal = context.phase() == Phase.CAUSAL;
        if (causal && recursion == 1) {
            return new Decision(Optional.empty(), gate);
        }
        Optional<Tensor> predictions = predictors.isEmpty()
                ? Optional.empty()
                : Optional.of(predictors.get(recursion - 1).logits(context, ops.detach(rows)));
        Selection selection = context.select(new SelectionRequest(
                batch,
                recursion,
                ops.detach(logits),
                predictions.map(ops::detach),
                capacity(context, recursion),
                capacity(context, recursion - 1)));
        if (!causal) {
            learn(context, logits, predictions, selection.mask());
            report(context, batch, recursion, predictions.orElse(logits), selection.mask());
        }
        return new Decision(takesAll(batch, selection) ? Optional.empty() : Optional.of(selection), gate);
    }

    /** The factor of the update, {@code alpha * G(logit)}. */
    private Optional<Tensor> gate(Ops ops, Tensor logits) {
        if (config.gating() == Gating.ADDITIVE) {
            return Optional.empty();
        }
        return Optional.of(
                switch (config.function()) {
                    case SIGMOID -> ops.scale(ops.apply(Unary.SIGMOID, logits), config.alpha());
                    case TANH -> ops.scale(ops.apply(Unary.TANH, logits), config.alpha());
                    case NONE -> logits;
                });
    }

    private double capacity(RouterContext context, int recursion) {
        return context.phase() == Phase.TRAINING
                ? schedule.at(recursion, context.microBatch())
                : schedule.at(recursion);
    }

    private static boolean takesAll(TokenBatch batch, Selection selection) {
        return batch.extent().isExact()
                && selection.exact().isPresent()
                && selection.exact().get() == batch.rows();
    }

    private void learn(RouterContext context, Tensor logits, Optional<Tensor> predictions, Tensor selected) {
        Ops ops = context.ops();
        if (config.sampling() != Sampling.NONE) {
            double coefficient = switch (config.coefficientNormalization()) {
                case MEAN -> config.coefficient();
                case AS_RELEASED -> config.coefficient() * context.accumulation();
            };
            context.loss("sampling-loss", ops.binaryCrossEntropy(predictions.orElse(logits), selected), coefficient);
        }
        context.loss(
                "z-loss",
                ops.mean(ops.apply(Unary.SQUARE, logits)),
                config.zCoefficient()); // logsumexp of one logit is the logit
    }

    private static void report(
            RouterContext context, TokenBatch batch, int recursion, Tensor predictor, Tensor selected) {
        Ops ops = context.ops();
        Tensor predicted = ops.compare(predictor, Comparison.AT_LEAST, 0); // sigmoid(z) >= 0.5 and tanh(z) >= 0 alike
        Tensor accuracy = ops.mean(ops.compareElements(predicted, Comparison.EQUAL, selected));
        context.metric("sampling-accuracy", accuracy);
        context.metric("sampling-accuracy-" + recursion, accuracy);
        int tokens =
                batch.sequenceLengths().stream().mapToInt(Integer::intValue).sum();
        context.metric("selected-share-" + recursion, ops.scale(ops.columnSum(selected), 1.0 / Math.max(1, tokens)));
    }
}
