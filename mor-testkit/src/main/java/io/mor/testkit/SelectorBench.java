package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.model.ModelShape;
import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.StateBuffer;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import io.mor.runtime.model.Weights;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/** Runs a selector on scores that the host gives, as a router would ask it. */
public final class SelectorBench implements AutoCloseable {

    /** The model that selectors are made for: 3 recursions. */
    public static final ModelShape SHAPE =
            new ModelShape(23, 6, new AttentionShape(1, 1, 6), 6, 64, 3, true, 1e-5, 1e4, 0);

    private final Backend backend;
    private final Selector selector;
    private final MemoryPool pool;
    private final Weights weights;

    /** A bench on a backend, which it does not own. */
    public SelectorBench(Backend backend, Function<ModelShape, Selector> selector) {
        this.backend = backend;
        this.selector = selector.apply(SHAPE);
        this.pool = new MemoryPool(backend);
        this.weights = new Weights(backend, List.of(this.selector));
    }

    /**
     * What is decided on.
     *
     * @param recursion of all candidates
     * @param lengths candidates of each sequence, at positions from 0
     * @param scores one a candidate
     * @param predictions one a candidate, or none
     * @param capacity of the recursion
     * @param previousCapacity of the one before
     */
    public record Question(
            int recursion,
            List<Integer> lengths,
            double[] scores,
            Optional<double[]> predictions,
            double capacity,
            double previousCapacity) {

        /** With scores alone, 1/3 after 2/3. */
        public static Question of(int recursion, List<Integer> lengths, double... scores) {
            return new Question(recursion, lengths, scores, Optional.empty(), 1.0 / 3, 2.0 / 3);
        }

        /** The same with predictions. */
        public Question predicting(double... logits) {
            return new Question(recursion, lengths, scores, Optional.of(logits), capacity, previousCapacity);
        }
    }

    /** The selector under test. */
    public Selector selector() {
        return selector;
    }

    /** The values of a buffer. */
    public double[] read(StateBuffer buffer) {
        return backend.readDoubles(weights.value(buffer));
    }

    /** Sets a buffer. */
    public void write(StateBuffer buffer, double... values) {
        backend.write(weights.value(buffer), values);
    }

    /** The causal decision: 1 or 0 a candidate. */
    public double[] select(Question question) {
        try (Region region = pool.region()) {
            return backend.readDoubles(mask(region, question));
        }
    }

    /** As {@link #select}, without looking at the result. */
    public void selectUnseen(Question question) {
        try (Region region = pool.region()) {
            mask(region, question);
        }
    }

    private Tensor mask(Region region, Question question) {
        ModelCall call = new ModelCall(region, Phase.CAUSAL, weights, Optional.of(selector), CallProgress.none(7));
        return selector.select(call, request(region, question));
    }

    /** Tells the selector what training selected: 1 or 0 a candidate. */
    public void observe(Question question, double... selected) {
        try (Region region = pool.region()) {
            ModelCall call =
                    new ModelCall(region, Phase.TRAINING, weights, Optional.of(selector), CallProgress.none(7));
            selector.observe(call, request(region, question), column(region, selected));
        }
    }

    private SelectionRequest request(Region region, Question question) {
        TokenBatch batch =
                TokenBatches.at(region, TokenBatches.ofSequences(region, question.lengths()), question.recursion());
        return new SelectionRequest(
                batch,
                question.recursion(),
                column(region, question.scores()),
                question.predictions().map(values -> column(region, values)),
                question.capacity(),
                question.previousCapacity());
    }

    /** The decision on one candidate of many, alone in its batch: the one at {@code position}. */
    public double selectAlone(Question question, int position) {
        try (Region region = pool.region()) {
            ModelCall call = new ModelCall(region, Phase.CAUSAL, weights, Optional.of(selector), CallProgress.none(7));
            TokenBatch batch = TokenBatches.of(
                    region, new ArrayList<>(List.of(new TokenRow(5, position, question.recursion()))), List.of(64));
            SelectionRequest request = new SelectionRequest(
                    batch,
                    question.recursion(),
                    column(region, question.scores()[position]),
                    question.predictions().map(values -> column(region, values[position])),
                    question.capacity(),
                    question.previousCapacity());
            return backend.readDoubles(selector.select(call, request))[0];
        }
    }

    private Tensor column(Region region, double... values) {
        Tensor tensor = region.allocate(Extent.exact(values.length), 1);
        backend.write(tensor, values);
        return tensor;
    }

    @Override
    public void close() {
        weights.close();
        pool.close();
    }
}
