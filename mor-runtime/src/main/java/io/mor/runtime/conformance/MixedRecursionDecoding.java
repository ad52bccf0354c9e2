package io.mor.runtime.conformance;

import io.mor.api.backend.Backend;
import io.mor.api.routing.RoutingState;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.PagedKvStorage;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import io.mor.runtime.model.Weights;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * Decodes given sequences token by token so that the shared block always sees rows at different recursions: sequence s starts s ticks late,
 * and at every tick each token in flight takes one recursion, all in one call.
 */
final class MixedRecursionDecoding {

    private static final class InFlight {
        private final int slot;
        private final int position;
        private int recursion = 1;
        private double[] row;
        private final Map<String, double[]> state = new LinkedHashMap<>();

        InFlight(int slot, int position) {
            this.slot = slot;
            this.position = position;
        }

        TokenRow at(int atRecursion) {
            return new TokenRow(slot, position, atRecursion);
        }
    }

    private final MorModel model;
    private final Weights weights;
    private final MemoryPool pool;
    private final Backend backend;
    private final PagedKvStorage storage;
    private final UnaryOperator<ModelCall> prepared;

    /**
     * @param prepared makes every call ready
     */
    MixedRecursionDecoding(
            MorModel model,
            Weights weights,
            MemoryPool pool,
            PagedKvStorage storage,
            UnaryOperator<ModelCall> prepared) {
        this.prepared = prepared;
        this.model = model;
        this.weights = weights;
        this.pool = pool;
        this.backend = pool.backend();
        this.storage = storage;
    }

    double[] logits(int[] ids, List<Integer> lengths) {
        int vocabulary = model.shape().vocabulary();
        int length = lengths.getFirst();
        double[] logits = new double[ids.length * vocabulary];
        int[] next = new int[lengths.size()];
        List<InFlight> flying = new ArrayList<>();
        int recursions = model.stages().get(model.sharedStage()).recursions();
        for (int tick = 0; Arrays.stream(next).anyMatch(position -> position < length) || !flying.isEmpty(); tick++) {
            for (int slot = 0; slot < next.length; slot++) {
                int sequence = slot;
                if (tick >= slot && next[slot] < length && flying.stream().noneMatch(token -> token.slot == sequence)) {
                    InFlight token = new InFlight(slot, next[slot]++);
                    enter(token, ids[slot * length + token.position], length);
                    flying.add(token);
                }
            }
            flying.sort(
                    Comparator.comparingInt((InFlight token) -> token.recursion).thenComparingInt(token -> token.slot));
            List<InFlight> leaving = recurse(flying, length, recursions);
            for (InFlight token : leaving) {
                flying.remove(token);
                double[] row = exit(token, length);
                System.arraycopy(row, 0, logits, (token.slot * length + token.position) * vocabulary, vocabulary);
            }
        }
        return logits;
    }

    private ModelCall call(Region region) {
        return prepared.apply(model.call(region, Phase.CAUSAL, weights, CallProgress.none(0)));
    }

    private void enter(InFlight token, int id, int length) {
        storage.reserve(token.slot, 1);
        try (Region region = pool.region()) {
            ModelCall call = call(region);
            TokenBatch batch = TokenBatches.of(region, List.of(token.at(1)), List.of(length));
            Tensor rows = model.enter(call, batch, region.ints(id), storage);
            model.begin(call, batch, rows)
                    .columns()
                    .forEach((name, values) -> token.state.put(name, backend.readDoubles(values)));
            token.row = backend.readDoubles(rows);
        }
        storage.synchronize();
    }

    /** One recursion for every token in flight, in one call; returns those that leave. */
    private List<InFlight> recurse(List<InFlight> tokens, int length, int recursions) {
        List<InFlight> leaving = new ArrayList<>(tokens);
        try (Region region = pool.region()) {
            ModelCall call = call(region);
            TokenBatch batch = TokenBatches.of(
                    region,
                    tokens.stream().map(token -> token.at(token.recursion)).toList(),
                    tokens.stream().map(token -> length).toList());
            Tensor rows = stack(region, tokens.stream().map(token -> token.row).toList());
            Map<String, Tensor> columns = new LinkedHashMap<>();
            for (String name : tokens.getFirst().state.keySet()) {
                columns.put(
                        name,
                        stack(
                                region,
                                tokens.stream()
                                        .map(token -> token.state.get(name))
                                        .toList()));
            }
            MorModel.Recursed recursed = model.recurse(call, batch, rows, new RoutingState(columns), storage);
            double[] values = backend.readDoubles(recursed.rows());
            int width = rows.columns();
            for (int i = 0; i < tokens.size(); i++) {
                tokens.get(i).row = Arrays.copyOfRange(values, i * width, (i + 1) * width);
            }
            TokenBatch active = recursed.active();
            int count = active.extent()
                    .count()
                    .map(counter -> backend.readInts(counter)[0])
                    .orElse(active.rows());
            int[] entryRows = backend.readInts(active.entryRow());
            for (int i = 0; i < count; i++) {
                InFlight token = tokens.get(entryRows[i]);
                token.recursion++;
                if (token.recursion <= recursions) {
                    leaving.remove(token);
                }
            }
        }
        storage.synchronize();
        return leaving;
    }

    private Tensor stack(Region region, List<double[]> rows) {
        double[] values = new double[rows.size() * rows.getFirst().length];
        for (int i = 0; i < rows.size(); i++) {
            System.arraycopy(rows.get(i), 0, values, i * rows.getFirst().length, rows.getFirst().length);
        }
        Tensor tensor = region.allocate(Extent.exact(rows.size()), rows.getFirst().length);
        backend.write(tensor, values);
        return tensor;
    }

    private double[] exit(InFlight token, int length) {
        try (Region region = pool.region()) {
            ModelCall call = call(region);
            TokenBatch batch = TokenBatches.of(region, List.of(token.at(1)), List.of(length));
            Tensor rows = stack(region, List.of(token.row));
            double[] logits = backend.readDoubles(model.logits(call, model.exit(call, batch, rows, storage)));
            storage.synchronize();
            return logits;
        }
    }
}
