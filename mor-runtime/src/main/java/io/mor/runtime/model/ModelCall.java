package io.mor.runtime.model;

import io.mor.api.backend.Backend;
import io.mor.api.routing.RouterContext;
import io.mor.api.routing.Routing;
import io.mor.api.routing.Selection;
import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.StateBuffer;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.memory.Region;
import io.mor.runtime.tape.Recomputation;
import io.mor.runtime.tape.TapeOps;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.BiFunction;

/** One call of a model: its operations, what it is for, and the losses and figures it leaves. One thread. */
public final class ModelCall implements RouterContext {

    private record Loss(Tensor value, double coefficient) {}

    private final TapeOps ops;
    private final Phase phase;
    private final Weights weights;
    private final Optional<Selector> selector;
    private final CallProgress progress;
    private final Map<String, List<Loss>> losses = new LinkedHashMap<>();
    private final Map<String, List<Tensor>> metrics = new LinkedHashMap<>();
    private SelectionObserver observer = (request, selection) -> {};
    private BiFunction<SelectionRequest, Selection, Selection> replacement = (request, selection) -> selection;
    private RoutingObserver routingObserver = (batch, routing) -> {};

    /**
     * A call.
     *
     * @param region where its tensors live
     * @param selector the causal selector, if the router needs one
     */
    public ModelCall(Region region, Phase phase, Weights weights, Optional<Selector> selector, CallProgress progress) {
        this(region, phase, weights, selector, progress, Recomputation.NONE, false);
    }

    /**
     * As above.
     *
     * @param recomputation what is calculated again for gradients instead of kept
     * @param gradientsAreEmpty whether the gradients hold nothing yet, whatever their memory holds
     */
    public ModelCall(
            Region region,
            Phase phase,
            Weights weights,
            Optional<Selector> selector,
            CallProgress progress,
            Recomputation recomputation,
            boolean gradientsAreEmpty) {
        boolean training = phase == Phase.TRAINING;
        this.ops = new TapeOps(
                region, training, training ? weights.gradients() : Map.of(), recomputation, gradientsAreEmpty);
        this.phase = phase;
        this.weights = weights;
        this.selector = selector;
        this.progress = progress;
    }

    /** The operations with the runtime's own. */
    public TapeOps tape() {
        return ops;
    }

    /** The backend. */
    public Backend backend() {
        return ops.backend();
    }

    /** Where this call's tensors live. */
    public Region region() {
        return ops.region();
    }

    @Override
    public Ops ops() {
        return ops;
    }

    @Override
    public Phase phase() {
        return phase;
    }

    @Override
    public Tensor value(Parameter parameter) {
        return weights.value(parameter);
    }

    @Override
    public Tensor value(StateBuffer buffer) {
        return weights.value(buffer);
    }

    @Override
    public void assign(StateBuffer buffer, Tensor values) {
        if (phase != Phase.TRAINING) {
            throw new IllegalStateException("buffer " + buffer.name() + " cannot change outside training");
        }
        Tensor held = weights.value(buffer);
        if (held.rows() != values.rows() || held.columns() != values.columns()) {
            throw new IllegalArgumentException("buffer " + buffer.name() + " is [" + held.rows() + ", " + held.columns()
                    + "], not [" + values.rows() + ", " + values.columns() + "]");
        }
        backend().copy(held, values);
    }

    @Override
    public void loss(String name, Tensor value, double coefficient) {
        losses.computeIfAbsent(name, key -> new ArrayList<>()).add(new Loss(value, coefficient));
    }

    @Override
    public void metric(String name, Tensor value) {
        metrics.computeIfAbsent(name, key -> new ArrayList<>()).add(value);
    }

    /** The sum of all losses times their coefficients, if any has one that is not 0. */
    public Optional<Tensor> weightedLosses() {
        Tensor total = null;
        for (List<Loss> terms : losses.values()) {
            for (Loss term : terms) {
                if (term.coefficient() != 0) {
                    Tensor scaled = ops.scale(term.value(), term.coefficient());
                    total = total == null ? scaled : ops.add(total, scaled);
                }
            }
        }
        return Optional.ofNullable(total);
    }

    /** The losses by name, before their coefficients: the tensors whose sum each is. */
    public Map<String, List<Tensor>> losses() {
        Map<String, List<Tensor>> values = new LinkedHashMap<>();
        losses.forEach((name, terms) ->
                values.put(name, terms.stream().map(Loss::value).toList()));
        return values;
    }

    /** The coefficient with which a loss was first reported. */
    public double coefficient(String loss) {
        return losses.get(loss).getFirst().coefficient();
    }

    /** The figures by name, to be averaged. */
    public Map<String, List<Tensor>> metrics() {
        return Collections.unmodifiableMap(metrics);
    }

    @Override
    public long step() {
        return progress.step();
    }

    @Override
    public long totalSteps() {
        return progress.totalSteps();
    }

    @Override
    public long microBatch() {
        return progress.microBatch();
    }

    @Override
    public int accumulation() {
        return progress.accumulation();
    }

    @Override
    public RandomKey random(String stream) {
        return RandomKey.of(progress.seed(), stream, progress.microBatch());
    }

    /** Is told of every selection in a call. */
    @FunctionalInterface
    public interface SelectionObserver {
        /** A router asked for a selection and gets this one. */
        void selected(SelectionRequest request, Selection selection);
    }

    /** Sets who is told of every selection from now on, in place of whoever was. */
    public void observeSelections(SelectionObserver newObserver) {
        observer = newObserver;
    }

    /** Lets something else be selected from now on than what the rules choose, for comparisons: given the request and that choice. */
    public void replaceSelections(BiFunction<SelectionRequest, Selection, Selection> newReplacement) {
        replacement = newReplacement;
    }

    /** Is told of every decision of the router in a call. */
    @FunctionalInterface
    public interface RoutingObserver {
        /** The router decided so about the rows of a batch. */
        void routed(TokenBatch batch, Routing routing);
    }

    /** Sets who is told of every routing from now on, in place of whoever was. */
    public void observeRoutings(RoutingObserver newObserver) {
        routingObserver = newObserver;
    }

    /** The walk tells of a routing. */
    void routed(TokenBatch batch, Routing routing) {
        routingObserver.routed(batch, routing);
    }

    @Override
    public Selection select(SelectionRequest request) {
        Selection selection = replacement.apply(request, decide(request));
        observer.selected(request, selection);
        return selection;
    }

    private Selection decide(SelectionRequest request) {
        if (phase == Phase.CAUSAL) {
            Selector rule = selector.orElseThrow(() -> new IllegalStateException(
                    "causal selection needs a selector, and this model was built without one"));
            return new Selection(rule.select(this, request), Optional.empty());
        }
        Selection selection = topK(request);
        if (phase == Phase.TRAINING) {
            selector.ifPresent(rule -> rule.observe(this, request, selection.mask()));
        }
        return selection;
    }

    /** Per sequence the {@code max(1, floor(capacity * length))} candidates with the largest scores (spec 2.3). */
    private Selection topK(SelectionRequest request) {
        List<Integer> lengths = request.batch().sequenceLengths();
        int[] k = new int[lengths.size()];
        int total = 0;
        for (int i = 0; i < k.length; i++) {
            k[i] = lengths.get(i) == 0 ? 0 : Math.max(1, (int) (request.capacity() * lengths.get(i)));
            total += k[i];
        }
        IntTensor counts = region().ints(k);
        return new Selection(
                ops.topKMask(request.scores(), request.batch().groupOffsets(), counts), Optional.of(total));
    }

    @Override
    public OptionalInt fixedDepth() {
        return phase == Phase.CAUSAL && selector.isPresent() ? selector.get().fixedDepth() : OptionalInt.empty();
    }
}
