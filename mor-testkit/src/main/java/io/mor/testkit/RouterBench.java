package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvViews;
import io.mor.api.cache.KvVisit;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.CallContext;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.StateBuffer;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import io.mor.runtime.config.Initialization;
import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.KvStorage;
import io.mor.runtime.model.LayerSources;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.ModelParts;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import io.mor.runtime.model.Weights;
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
public final class RouterBench implements AutoCloseable {

    /** Width of a row. */
    public static final int HIDDEN = 6;

    /** Recursions of the model. */
    public static final int RECURSIONS = 3;

    /** Token ids there are. */
    public static final int VOCABULARY = 23;

    private static final long SEED = 7;
    private static final KvStorage NO_STORAGE = (call, stage, batch) -> layer -> {
        throw new IllegalStateException("the bench's block has no attention");
    };

    private final Backend backend;
    private final MorModel model;
    private final MemoryPool pool;
    private final Weights weights;

    /**
     * A bench.
     *
     * @param backend which it does not own
     * @param router makes the router
     * @param selector makes the causal selector; empty for none
     */
    public RouterBench(
            Backend backend, Function<ModelShape, Router> router, Optional<Function<ModelShape, Selector>> selector) {
        this.backend = backend;
        ModelConfig config = new ModelConfig(
                VOCABULARY,
                HIDDEN,
                RECURSIONS,
                1,
                1,
                HIDDEN,
                64,
                Sharing.CYCLE,
                RECURSIONS,
                1,
                true,
                true,
                Initialization.RANDOM,
                0.7,
                1e-5,
                1e4,
                0);
        this.model = new MorModel(
                config,
                new ModelParts(
                        (shape, placement) -> new RowwiseBlock(),
                        Optional.of(router),
                        (recursion, of, layer) -> KvVisit.own(recursion),
                        selector));
        this.pool = new MemoryPool(backend);
        this.weights = new Weights(backend, model.statefulParts());
        weights.initialize(
                SEED,
                config.initializerRange(),
                LayerSources.of(model.plan(), config.initialization(), config.layers(), SEED));
        weights.enableGradients();
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

    /** Parameters, buffers and gradients. */
    public Weights weights() {
        return weights;
    }

    /** A parameter by name. */
    public Parameter parameter(String name) {
        return weights.parameters().stream()
                .filter(parameter -> parameter.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    /** The values of a parameter. */
    public double[] read(Parameter parameter) {
        return backend.readDoubles(weights.value(parameter));
    }

    /** Sets a parameter. */
    public void write(Parameter parameter, double... values) {
        backend.write(weights.value(parameter), values);
    }

    /** The gradient of a parameter. */
    public double[] gradient(Parameter parameter) {
        return backend.readDoubles(weights.gradient(parameter));
    }

    /** The values of a buffer. */
    public double[] read(StateBuffer buffer) {
        return backend.readDoubles(weights.value(buffer));
    }

    /** Sets a buffer. */
    public void write(StateBuffer buffer, double... values) {
        backend.write(weights.value(buffer), values);
    }

    /** The values of all buffers by name. */
    public Map<String, List<Double>> buffers() {
        Map<String, List<Double>> all = new LinkedHashMap<>();
        weights.buffers()
                .forEach(buffer -> all.put(
                        buffer.name(), Arrays.stream(read(buffer)).boxed().toList()));
        return all;
    }

    /** The row that a token enters as. */
    public double[] embedding(int id) {
        double[] table = read(parameter("embed.weight"));
        return Arrays.copyOfRange(table, id * HIDDEN, (id + 1) * HIDDEN);
    }

    /** Token ids drawn from a seed. */
    public static List<Integer> ids(long seed, int count) {
        RandomKey key = RandomKey.of(seed, "ids", 0);
        List<Integer> ids = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            ids.add((int) (key.uniform(0, i) * VOCABULARY));
        }
        return ids;
    }

    /** Where a call stands that is micro-batch {@code microBatch} of a run with {@code accumulation} micro-batches per step. */
    public static CallProgress progress(long microBatch, int accumulation) {
        return new CallProgress(SEED, microBatch / accumulation, 100, microBatch, accumulation);
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
            this.region = bench.pool.region();
            this.call = bench.model.call(region, phase, bench.weights, progress);
            TokenBatch batch = TokenBatches.ofSequences(region, lengths);
            this.rows = bench.model.rows(
                    call,
                    batch,
                    region.ints(toArray(ids)),
                    NO_STORAGE,
                    Optional.empty(),
                    (recursion, active) -> visits.add(active));
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
        try (Region region = pool.region()) {
            model.afterOptimizerStep(model.call(region, Phase.TRAINING, weights, progress));
        }
    }

    private void backward(Running running) {
        Tensor objective = weightedSum(running);
        Optional<Tensor> losses = running.call.weightedLosses();
        running.call
                .tape()
                .backward(losses.isPresent() ? running.call.ops().add(objective, losses.get()) : objective, 1);
    }

    /** The sum of all final values, each times a number of its own. */
    private Tensor weightedSum(Running running) {
        Tensor factors = running.region.allocate(running.rows.rows(), HIDDEN);
        backend.write(factors, factors(running.rows.rows()));
        return running.call.ops().columnSum(running.call.ops().rowDot(running.rows, factors));
    }

    private static double[] factors(int rows) {
        RandomKey key = RandomKey.of(SEED, "objective", 0);
        double[] factors = new double[rows * HIDDEN];
        for (int i = 0; i < factors.length; i++) {
            factors[i] = key.normal(0, i);
        }
        return factors;
    }

    /**
     * What training would minimise here: the sum of all final values, each times a number of its own, plus the weighted losses.
     *
     * @param counts which losses are part of it
     */
    public double objective(List<Integer> lengths, List<Integer> ids, CallProgress progress, Predicate<String> counts) {
        try (Running running = new Running(this, Phase.TRAINING, lengths, ids, progress)) {
            double total = backend.readDoubles(weightedSum(running))[0];
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
        try (Region region = pool.region()) {
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
        try (Region region = pool.region()) {
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

    private Tensor tensor(Region region, List<double[]> values, int columns) {
        Tensor tensor = region.allocate(Extent.exact(values.size()), columns);
        backend.write(tensor, values.stream().flatMapToDouble(Arrays::stream).toArray());
        return tensor;
    }

    private Map<String, List<double[]>> columns(RoutingState state) {
        Map<String, List<double[]>> columns = new LinkedHashMap<>();
        state.columns().forEach((name, values) -> columns.put(name, rows(values)));
        return columns;
    }

    private List<double[]> rows(Tensor tensor) {
        double[] values = backend.readDoubles(tensor);
        List<double[]> rows = new ArrayList<>();
        for (int row = 0; row < count(tensor.extent()); row++) {
            rows.add(Arrays.copyOfRange(values, row * tensor.columns(), (row + 1) * tensor.columns()));
        }
        return rows;
    }

    private List<Integer> entryRows(TokenBatch batch) {
        return Arrays.stream(backend.readInts(batch.entryRow()))
                .limit(count(batch.extent()))
                .boxed()
                .toList();
    }

    private int count(Extent extent) {
        return extent.isExact()
                ? extent.bound()
                : backend.readInts(extent.count().get())[0];
    }

    private static int[] toArray(List<Integer> values) {
        return values.stream().mapToInt(Integer::intValue).toArray();
    }

    @Override
    public void close() {
        weights.close();
        pool.close();
    }
}
