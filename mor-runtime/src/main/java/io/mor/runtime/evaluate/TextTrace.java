package io.mor.runtime.evaluate;

import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.UsageException;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.DepthCounter;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.Weights;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Reads a text with the causal selection of generation and tells for each token how deep it went and what the router said. One thread. */
public final class TextTrace {

    private final MorModel model;
    private final Weights weights;

    /** A reader. */
    public TextTrace(MorModel model, Weights weights) {
        this.model = model;
        this.weights = weights;
    }

    /** What one recursion said, over all rows of the call: {@code [rows, 1]} both. */
    private record Scores(Tensor values, Tensor candidates) {}

    /**
     * Reads a text.
     *
     * @throws UsageException if it is longer than the model's context
     */
    public List<TracedToken> read(int... ids) {
        if (ids.length == 0) {
            return List.of();
        }
        if (ids.length > model.shape().context()) {
            throw new UsageException("a text of " + ids.length + " tokens is longer than the model's context of "
                    + model.shape().context());
        }
        try (MemoryPool pool = new MemoryPool(weights.backend());
                Region region = pool.region()) {
            ModelCall call = model.call(region, Phase.CAUSAL, weights, CallProgress.none(0));
            Map<Integer, Scores> scores = new TreeMap<>();
            call.observeSelections((request, selection) -> scores.put(
                    request.recursion(), everyRow(call.ops(), request.batch(), request.scores(), ids.length)));
            call.observeRoutings((batch, routing) -> {
                if (batch.isUniform() && routing.gate().isPresent()) {
                    scores.computeIfAbsent(
                            batch.segments().getFirst().recursion(),
                            recursion ->
                                    everyRow(call.ops(), batch, routing.gate().get(), ids.length));
                }
            });
            DepthCounter counter = new DepthCounter(model, call, ids.length);
            TokenBatch batch = TokenBatches.ofSequences(region, List.of(ids.length));
            model.rows(call, batch, region.ints(ids), model.stepStorage(), Optional.empty(), counter);
            return tokens(call, counter.read(), scores, ids);
        }
    }

    /** Values of the rows of a batch at their places among all rows of the call. */
    private static Scores everyRow(Ops ops, TokenBatch batch, Tensor values, int rows) {
        Tensor nothing = ops.constant(Extent.exact(rows), 1, 0);
        return new Scores(
                ops.replaceRows(nothing, batch.entryRow(), values),
                ops.replaceRows(nothing, batch.entryRow(), ops.constant(batch.extent(), 1, 1)));
    }

    private static List<TracedToken> tokens(ModelCall call, int[] depths, Map<Integer, Scores> scores, int... ids) {
        List<List<Double>> said = new ArrayList<>();
        for (int i = 0; i < ids.length; i++) {
            said.add(new ArrayList<>());
        }
        for (Scores recursion : scores.values()) {
            double[] values = call.backend().readDoubles(recursion.values());
            double[] candidates = call.backend().readDoubles(recursion.candidates());
            for (int i = 0; i < ids.length; i++) {
                if (candidates[i] > 0) {
                    said.get(i).add(values[i]);
                }
            }
        }
        List<TracedToken> tokens = new ArrayList<>();
        for (int i = 0; i < ids.length; i++) {
            tokens.add(new TracedToken(ids[i], depths[i], said.get(i)));
        }
        return List.copyOf(tokens);
    }
}
