package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvViews;
import io.mor.api.cache.KvVisit;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.routing.Routing;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.KvStorage;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.ModelParts;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.IntUnaryOperator;
import java.util.function.Predicate;

/**
 * A small model around a router: rows come from an embedding and the block is {@code x + tanh(x) / 2}, row by row, so that whatever couples
 * rows is the router's doing. Runs the runtime's own walk. Weights are drawn with seed 7 and are large enough for scores to differ.
 */
public final class RouterBench extends ModelBench {

    /** Width of a row. */
    public static final int HIDDEN = 6;

    private static final KvViews NO_VIEWS = layer -> {
        throw new IllegalStateException("the bench's block has no attention");
    };
    private static final KvStorage NO_STORAGE = (call, stage, batch) -> NO_VIEWS;

    /**
     * A bench.
     *
     * @param backend which it does not own
     * @param router makes the router
     * @param selector makes the causal selector; empty for none
     */
    public RouterBench(
            Backend backend, Function<ModelShape, Router> router, Optional<Function<ModelShape, Selector>> selector) {
        super(
                backend,
                config(HIDDEN, 1, 1, 1, HIDDEN, true, 0.7, 0),
                new ModelParts(
                        (shape, placement) -> new RowwiseBlock(),
                        Optional.of(router),
                        (recursion, of, layer) -> KvVisit.own(recursion),
                        selector));
    }

    /** The block: no parameters, no attention. */
    private static final class RowwiseBlock implements RecursionBlock {

        @Override
        public Tensor apply(CallContext context, TokenBatch batch, Tensor rows, KvViews caches) {
            return context.ops().add(rows, context.ops().scale(context.ops().apply(Unary.TANH, rows), 0.5));
        }

        @Override
        public long multiplyAddsPerRow(boolean projectsKeysAndValues) {
            return 0;
        }
    }

    /** What the block makes of a value. */
    public static double block(double x) {
        return x + Math.tanh(x) / 2;
    }

    /** The router under test. */
    public Router router() {
        return model.router();
    }

    /** The selector, if there is one. */
    public Optional<Selector> selector() {
        return model.selector();
    }

    /**
     * What a walk through all recursions leaves.
     *
     * @param rows the final rows, normalised
     * @param selected for every recursion the rows that went through it, ascending, as their places in the batch
     * @param losses by name, summed over their terms
     * @param coefficients of the losses
     * @param figures by name, one entry a report
     */
    public record Walk(
            List<double[]> rows,
            List<List<Integer>> selected,
            Map<String, Double> losses,
            Map<String, Double> coefficients,
            Map<String, List<double[]>> figures) {

        /** The recursions that each row went through. */
        public List<Integer> depths() {
            List<Integer> depths = new ArrayList<>();
            for (int row = 0; row < rows.size(); row++) {
                int place = row;
                depths.add((int) selected.stream()
                        .filter(visited -> visited.contains(place))
                        .count());
            }
            return depths;
        }
    }

    private static final class Running implements AutoCloseable {
        private final Region region;
        private final ModelCall call;
        private final List<TokenBatch> visits = new ArrayList<>();
        private final Tensor rows;

        Running(RouterBench bench, Phase phase, List<Integer> lengths, List<Integer> ids, CallProgress progress) {
            this.region = bench.region();
            try {
                this.call = bench.model.call(region, phase, bench.weights, progress);
                TokenBatch batch = TokenBatches.ofSequences(region, lengths);
                this.rows = bench.model.rows(
                        call,
                        batch,
                        region.ints(toArray(ids)),
                        NO_STORAGE,
                        Optional.empty(),
                        (recursion, active) -> visits.add(active));
            } catch (RuntimeException | Error e) {
                region.close();
                throw e;
            }
        }

        @Override
        public void close() {
            region.close();
        }
    }

    /** Whole sequences through the model, without gradients being taken. */
    public Walk walk(Phase phase, List<Integer> lengths, List<Integer> ids, CallProgress progress) {
        try (Running running = new Running(this, phase, lengths, ids, progress)) {
            return result(running);
        }
    }

    /** As above; in training losses and gradients of {@link #objective} too. Gradients are of this call alone. */
    public Walk train(List<Integer> lengths, List<Integer> ids, CallProgress progress) {
        weights.zeroGradients();
        try (Running running = new Running(this, Phase.TRAINING, lengths, ids, progress)) {
            backward(running);
            return result(running);
        }
    }

    /** A training step whose results nobody looks at: forward, backward and what follows an optimizer step. */
    public void step(List<Integer> lengths, List<Integer> ids, CallProgress progress) {
        try (Running running = new Running(this, Phase.TRAINING, lengths, ids, progress)) {
            backward(running);
        }
        afterOptimizerStep(progress);
    }

    /** A causal call whose results nobody looks at. */
    public void causalCall(List<Integer> lengths, List<Integer> ids) {
        new Running(this, Phase.CAUSAL, lengths, ids, CallProgress.none(SEED)).close();
    }

    /** What the parts do after an optimizer step. */
    public void afterOptimizerStep(CallProgress progress) {
        try (Region region = region()) {
            model.afterOptimizerStep(model.call(region, Phase.TRAINING, weights, progress));
        }
    }

    private void backward(Running running) {
        Tensor objective = weightedSum(running.call, running.rows);
        Optional<Tensor> losses = running.call.weightedLosses();
        running.call
                .tape()
                .backward(losses.isPresent() ? running.call.ops().add(objective, losses.get()) : objective, 1);
    }

    /**
     * What training would minimise here: the sum of all final values, each times a number of its own, plus the weighted losses.
     *
     * @param counts which losses are part of it
     */
    public double objective(List<Integer> lengths, List<Integer> ids, CallProgress progress, Predicate<String> counts) {
        try (Running running = new Running(this, Phase.TRAINING, lengths, ids, progress)) {
            double total = backend.readDoubles(weightedSum(running.call, running.rows))[0];
            for (Map.Entry<String, List<Tensor>> loss : running.call.losses().entrySet()) {
                if (counts.test(loss.getKey())) {
                    for (Tensor term : loss.getValue()) {
                        total += running.call.coefficient(loss.getKey()) * backend.readDoubles(term)[0];
                    }
                }
            }
            return total;
        }
    }

    private Walk result(Running running) {
        Map<String, Double> losses = new LinkedHashMap<>();
        Map<String, Double> coefficients = new LinkedHashMap<>();
        running.call.losses().forEach((name, terms) -> {
            losses.put(
                    name,
                    terms.stream()
                            .mapToDouble(term -> backend.readDoubles(term)[0])
                            .sum());
            coefficients.put(name, running.call.coefficient(name));
        });
        Map<String, List<double[]>> figures = new LinkedHashMap<>();
        running.call
                .metrics()
                .forEach((name, values) -> figures.put(
                        name, values.stream().map(backend::readDoubles).toList()));
        return new Walk(
                rows(running.rows),
                running.visits.stream().map(this::entryRows).toList(),
                losses,
                coefficients,
                figures);
    }

    /**
     * What one recursion of a batch leaves.
     *
     * @param rows all rows of the batch, not normalised
     * @param selected the rows that went through, ascending
     * @param state the router's memory of those, by name one value a selected row
     */
    public record Recursion(List<double[]> rows, List<Integer> selected, Map<String, List<double[]>> state) {}

    /** The router's memory of rows that enter recursion 1. */
    public Map<String, List<double[]>> begin(
            Phase phase, List<TokenRow> tokens, List<double[]> values, IntUnaryOperator lengths) {
        try (Region region = region()) {
            ModelCall call = model.call(region, phase, weights, CallProgress.none(SEED));
            return columns(model.begin(call, batch(region, tokens, lengths), tensor(region, values, HIDDEN)));
        }
    }

    /**
     * One recursion of rows that are about to enter any recursions.
     *
     * @param tokens sorted by recursion, sequence, position
     * @param values their rows
     * @param state the router's memory of them
     * @param lengths how many tokens a sequence has in all
     */
    public Recursion recurse(
            Phase phase,
            List<TokenRow> tokens,
            List<double[]> values,
            Map<String, List<double[]>> state,
            IntUnaryOperator lengths) {
        try (Region region = region()) {
            ModelCall call = model.call(region, phase, weights, CallProgress.none(SEED));
            Map<String, Tensor> columns = new LinkedHashMap<>();
            state.forEach((name, rows) ->
                    columns.put(name, tensor(region, rows, rows.isEmpty() ? 1 : rows.getFirst().length)));
            MorModel.Recursed recursed = model.recurse(
                    call,
                    batch(region, tokens, lengths),
                    tensor(region, values, HIDDEN),
                    new RoutingState(columns),
                    NO_STORAGE);
            return new Recursion(rows(recursed.rows()), entryRows(recursed.active()), columns(recursed.state()));
        }
    }

    /**
     * New values of the selected rows of one recursion.
     *
     * @param own what {@link Router#update} makes
     * @param gated what {@code previous + gate * output} makes
     */
    public record Updates(List<double[]> own, List<double[]> gated) {}

    /** Both ways of updating the rows that a causal call at one recursion selects. */
    public Updates updates(List<TokenRow> tokens, List<double[]> values, IntUnaryOperator lengths) {
        try (Region region = region()) {
            ModelCall call = model.call(region, Phase.CAUSAL, weights, CallProgress.none(SEED));
            TokenBatch batch = batch(region, tokens, lengths);
            Tensor rows = tensor(region, values, HIDDEN);
            Routing routing = router().route(call, batch, rows, router().begin(call, batch, rows));
            Ops.Rows selected = routing.selected()
                    .orElseGet(() -> call.ops().compact(call.ops().constant(batch.extent(), 1, 1), Optional.empty()));
            Tensor previous = call.ops().gatherRows(rows, selected.index(), selected.extent());
            Tensor output = new RowwiseBlock().apply(call, batch, previous, NO_VIEWS);
            Map<String, Tensor> columns = new LinkedHashMap<>();
            routing.state()
                    .columns()
                    .forEach((name, column) ->
                            columns.put(name, call.ops().gatherRows(column, selected.index(), selected.extent())));
            Optional<Tensor> gate =
                    routing.gate().map(all -> call.ops().gatherRows(all, selected.index(), selected.extent()));
            Tensor own = router().update(
                            call,
                            TokenBatches.select(region, batch, selected),
                            previous,
                            output,
                            new RoutingState(columns),
                            gate);
            Tensor gated = call.ops()
                    .add(
                            previous,
                            gate.map(factors -> call.ops().scaleRows(output, factors))
                                    .orElse(output));
            return new Updates(rows(own), rows(gated));
        }
    }

    private static TokenBatch batch(Region region, List<TokenRow> tokens, IntUnaryOperator lengths) {
        List<Integer> groups = new ArrayList<>();
        for (int i = 0; i < tokens.size(); i++) {
            TokenRow token = tokens.get(i);
            if (i == 0
                    || tokens.get(i - 1).recursion() != token.recursion()
                    || tokens.get(i - 1).sequence() != token.sequence()) {
                groups.add(lengths.applyAsInt(token.sequence()));
            }
        }
        return TokenBatches.of(region, tokens, groups);
    }

    private Map<String, List<double[]>> columns(RoutingState state) {
        Map<String, List<double[]>> columns = new LinkedHashMap<>();
        state.columns().forEach((name, values) -> columns.put(name, rows(values)));
        return columns;
    }

    private List<Integer> entryRows(TokenBatch batch) {
        return Arrays.stream(backend.readInts(batch.entryRow()))
                .limit(count(batch.extent()))
                .boxed()
                .toList();
    }
}
