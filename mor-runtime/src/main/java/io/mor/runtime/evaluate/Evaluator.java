package io.mor.runtime.evaluate;

import io.mor.api.backend.Backend;
import io.mor.api.routing.Selection;
import io.mor.api.routing.SelectionRequest;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Ops;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.data.Batch;
import io.mor.runtime.data.TokenBytes;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.DepthCounter;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.Weights;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.TreeMap;

/**
 * Measures a model on text: loss, perplexity, bits per byte, depths and routing figures, with the causal selection of generation and, beside it,
 * with the full-sequence selection of training. Logits are never held whole.
 *
 * <p>Owns the memory of its calls; the weights must outlive it. Changes no buffer. Thread safety: one thread.
 */
public final class Evaluator implements AutoCloseable {

    private final MorModel model;
    private final Weights weights;
    private final Backend backend;
    private final Optional<TokenBytes> bytes;
    private final MemoryPool pool;

    /**
     * An evaluator.
     *
     * @param bytes how many bytes of text each id stands for; empty leaves out bits per byte
     * @throws UsageException if the router needs a causal selector and none is configured
     */
    public Evaluator(MorModel model, Weights weights, Optional<TokenBytes> bytes) {
        if (model.router().needsSelector() && model.selector().isEmpty()) {
            throw new UsageException(
                    "selector: the router's own selection sees later tokens, so an honest evaluation needs a causal selector, and none is configured; "
                            + "logit-threshold and ema-cutoff need no other training");
        }
        this.model = model;
        this.weights = weights;
        this.backend = weights.backend();
        this.bytes = bytes;
        this.pool = new MemoryPool(backend);
    }

    /**
     * Evaluates with causal selection.
     *
     * @param batches rows of text, gone through once
     * @param besideFullSequence whether to evaluate full-sequence selection too; without a router it is not done, since it is the same
     * @throws UsageException if there is no batch, or a row is longer than the model's context
     * @throws MorException if a loss is not finite
     */
    public EvaluationReport evaluate(Iterable<Batch> batches, boolean besideFullSequence) {
        long begin = System.nanoTime();
        Tally causal = new Tally(Phase.CAUSAL);
        Optional<Tally> full = besideFullSequence && model.isRouted()
                ? Optional.of(new Tally(Phase.FULL_SEQUENCE_EVALUATION))
                : Optional.empty();
        for (Batch batch : batches) {
            check(batch);
            causal.add(batch);
            full.ifPresent(tally -> tally.add(batch));
        }
        if (causal.tokens == 0) {
            throw new UsageException(
                    "there is no text to evaluate on: not even one row; give more text, or a shorter context");
        }
        return new EvaluationReport(
                causal.rows,
                causal.tokens,
                causal.figures(),
                full.map(Tally::figures),
                full.map(Tally::samplingAccuracy).orElse(Map.of()),
                (System.nanoTime() - begin) * 1e-9);
    }

    private void check(Batch batch) {
        if (batch.context() > model.shape().context()) {
            throw new UsageException("rows of " + batch.context() + " tokens are longer than the model's context of "
                    + model.shape().context() + "; cut the text into rows of at most that");
        }
    }

    /** How often two rules agreed at a recursion. */
    private static final class Agreement {
        private double agreed;
        private double candidates;
    }

    /** Tensors of a call that tell about one recursion's agreement, both {@code [1, 1]}. */
    private record Agreed(int recursion, Tensor agreed, Tensor candidates) {}

    /** Sums over the batches, for one rule of selection. */
    private final class Tally {
        private final Phase phase;
        private final RouterFigures routerFigures = new RouterFigures();
        private final Map<Integer, Agreement> agreements = new TreeMap<>();
        private final long[] depthCounts = new long[model.plan().recursions() + 1];
        private boolean[] reachedEnd = new boolean[0]; // per position of a row: whether the last recursion ever took it
        private double nats;
        private long rows;
        private long tokens;
        private long textBytes;

        Tally(Phase phase) {
            this.phase = phase;
        }

        void add(Batch batch) {
            double[] losses;
            int[] depths;
            try (Region region = pool.region()) {
                ModelCall call = model.call(region, phase, weights, CallProgress.none(0));
                List<Agreed> agreed = new ArrayList<>();
                if (phase == Phase.FULL_SEQUENCE_EVALUATION && model.selector().isPresent()) {
                    call.observeSelections((request, selection) ->
                            agreed.add(compare(call, model.selector().get(), request, selection)));
                }
                DepthCounter counter = new DepthCounter(model, call, batch.inputs().length);
                TokenBatch sequences =
                        TokenBatches.ofSequences(region, Collections.nCopies(batch.rows(), batch.context()));
                Tensor hidden = model.rows(
                        call, sequences, region.ints(batch.inputs()), model.stepStorage(), Optional.empty(), counter);
                losses = backend.readDoubles(
                        call.ops().headCrossEntropy(hidden, call.value(model.head()), region.ints(batch.targets())));
                depths = counter.read();
                agreed.forEach(this::add);
                routerFigures.add(call);
            }
            for (int i = 0; i < losses.length; i++) {
                if (!Double.isFinite(losses[i])) {
                    throw new MorException(
                            "the loss of token " + (i % batch.context()) + " of row " + (rows + i / batch.context())
                                    + " is " + losses[i] + ": the weights are broken or overflow " + backend.precision()
                                    + "; take an earlier checkpoint or a backend of higher precision");
                }
                nats += losses[i];
            }
            countDepths(depths, batch.context());
            rows += batch.rows();
            tokens += losses.length;
            textBytes += bytes.map(known -> known.sum(batch.targets())).orElse(0L);
        }

        private void countDepths(int[] depths, int context) {
            if (context > reachedEnd.length) {
                reachedEnd = Arrays.copyOf(reachedEnd, context);
            }
            for (int i = 0; i < depths.length; i++) {
                depthCounts[depths[i]]++;
                reachedEnd[i % context] |= depths[i] == depthCounts.length - 1;
            }
        }

        private void add(Agreed one) {
            Agreement sum = agreements.computeIfAbsent(one.recursion(), recursion -> new Agreement());
            sum.agreed += backend.readDoubles(one.agreed())[0];
            sum.candidates += backend.readDoubles(one.candidates())[0];
        }

        Map<Integer, Double> samplingAccuracy() {
            Map<Integer, Double> shares = new TreeMap<>();
            agreements.forEach((recursion, sum) -> shares.put(recursion, sum.agreed / sum.candidates));
            return shares;
        }

        SelectionFigures figures() {
            List<Double> shares = new ArrayList<>();
            for (long count : depthCounts) {
                shares.add((double) count / tokens);
            }
            int dead = 0;
            for (boolean reached : reachedEnd) {
                dead += reached ? 0 : 1;
            }
            return new SelectionFigures(
                    nats / tokens,
                    bytes.isPresent() && textBytes > 0
                            ? OptionalDouble.of(nats / Math.log(2) / textBytes)
                            : OptionalDouble.empty(),
                    shares,
                    (double) dead / reachedEnd.length,
                    routerFigures.means());
        }
    }

    /** Asks the causal selector about the same candidates. */
    private static Agreed compare(ModelCall call, Selector selector, SelectionRequest request, Selection selection) {
        Ops ops = call.ops();
        Tensor causal = selector.select(call, request);
        Tensor same = ops.compareElements(causal, Comparison.EQUAL, selection.mask());
        return new Agreed(
                request.recursion(),
                ops.columnSum(same),
                ops.columnSum(ops.constant(request.batch().extent(), 1, 1)));
    }

    @Override
    public void close() {
        pool.close();
    }
}
