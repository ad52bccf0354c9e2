package io.mor.runtime.evaluate;

import io.mor.api.backend.Backend;
import io.mor.api.routing.Selector;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.StateBuffer;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.data.Batch;
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
import java.util.Optional;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/**
 * Sets the cut-offs of a causal selector from held-out text, so that depth is a knob at deployment (spec 2.7, EMA_CUTOFF: a candidate goes on if
 * its score is above the cut-off).
 *
 * <p>Recursion by recursion, from the second on: the text is walked causally with the cut-offs found so far, and the cut-off is the quantile
 * of the scores of the candidates that reach the recursion at which the wanted share of all tokens goes on. So the text is walked once per
 * recursion, the last time to measure what was achieved.
 *
 * <p>Changes the selector's buffer in the weights and nothing else; where it fails the old cut-offs stay. Owns the memory of its calls. Thread
 * safety: one thread.
 */
public final class Calibrator implements AutoCloseable {

    /** Larger than any score, and finite, so that it survives every file format. */
    private static final double FAR = 1e30;

    private final MorModel model;
    private final Weights weights;
    private final Backend backend;
    private final StateBuffer buffer;
    private final int recursions;
    private final MemoryPool pool;

    /**
     * A calibrator.
     *
     * @throws UsageException if the model has no selector with cut-offs
     */
    public Calibrator(MorModel model, Weights weights) {
        Optional<StateBuffer> cutoffs = model.selector().flatMap(Selector::cutoffs);
        if (!model.router().needsSelector() || cutoffs.isEmpty()) {
            throw new UsageException(
                    (model.router().needsSelector()
                                    ? "selector: this one has"
                                    : "router: this one asks for no selector, so there are")
                            + " no cut-offs that could be calibrated; that takes an expert-choice router with selector ema-cutoff");
        }
        this.model = model;
        this.weights = weights;
        this.backend = weights.backend();
        this.buffer = cutoffs.get();
        this.recursions = model.plan().recursions();
        this.pool = new MemoryPool(backend);
    }

    /**
     * Lets given shares of the tokens go through each recursion.
     *
     * @param capacities one per recursion in (0, 1], the first 1, not increasing
     * @param text held-out rows, gone through as often as there are recursions
     * @throws UsageException if the capacities or the text cannot be
     */
    public Calibration toCapacities(List<Double> capacities, Iterable<Batch> text) {
        if (capacities.size() != recursions) {
            throw new UsageException("capacity: " + capacities + " has " + capacities.size()
                    + " entries, but the model has " + recursions + " recursions; give one for each");
        }
        if (capacities.getFirst() != 1) {
            throw new UsageException("capacity: " + capacities + " begins with " + capacities.getFirst()
                    + ", but in generation every token runs recursion 1; begin with 1");
        }
        for (int i = 0; i < recursions; i++) {
            double share = capacities.get(i);
            if (!(share > 0 && share <= 1)) {
                throw new UsageException(
                        "capacity: " + share + " in " + capacities + " is not a share above 0 and at most 1");
            }
            if (i > 0 && share > capacities.get(i - 1)) {
                throw new UsageException("capacity: " + capacities + " increases from " + capacities.get(i - 1) + " to "
                        + share + "; a token that has left does not come back");
            }
        }
        return calibrate(capacities, text);
    }

    /**
     * Lets the tokens run so many recursions on average, with the shares of the recursions shaped like those of training.
     *
     * @param meanDepth from 1 to the model's recursions
     * @param text held-out rows, gone through as often as there are recursions
     * @throws UsageException if the depth or the text cannot be
     */
    public Calibration toMeanDepth(double meanDepth, Iterable<Batch> text) {
        if (!(meanDepth >= 1 && meanDepth <= recursions)) {
            throw new UsageException(
                    "mean-depth: " + meanDepth + " is not between 1 and the model's " + recursions + " recursions");
        }
        List<Double> trained = IntStream.rangeClosed(1, recursions)
                .mapToObj(recursion -> model.router().expectedShare(recursion, recursions))
                .toList();
        return calibrate(Calibration.ofMeanDepth(trained, meanDepth), text);
    }

    private Calibration calibrate(List<Double> wanted, Iterable<Batch> text) {
        double[] before = backend.readDoubles(weights.value(buffer));
        boolean done = false;
        try {
            double[] cutoffs = before.clone();
            Arrays.fill(cutoffs, 1, recursions, FAR); // nobody goes deeper than what is being measured
            for (int recursion = 2; recursion <= recursions; recursion++) {
                write(cutoffs);
                cutoffs[recursion - 1] = cutoff(recursion, wanted.get(recursion - 1), text);
            }
            write(cutoffs);
            Calibration result = measure(wanted, text);
            done = true;
            return result;
        } finally {
            if (!done) {
                write(before);
            }
        }
    }

    private void write(double[] cutoffs) {
        backend.write(weights.value(buffer), cutoffs);
    }

    private double cutoff(int recursion, double share, Iterable<Batch> text) {
        List<double[]> parts = new ArrayList<>();
        long tokens = 0;
        for (Batch batch : text) {
            try (Region region = pool.region()) {
                ModelCall call = call(region);
                List<Tensor> scores = new ArrayList<>();
                call.observeSelections((request, selection) -> {
                    if (request.recursion() == recursion) {
                        scores.add(request.scores());
                    }
                });
                walk(call, batch, Optional.empty());
                scores.forEach(each -> parts.add(column(each)));
            }
            tokens += batch.inputs().length;
        }
        if (tokens == 0) {
            throw new UsageException(
                    "there is no text to calibrate on: not even one row; give more text, or a shorter context");
        }
        double[] scores = parts.stream().flatMapToDouble(DoubleStream::of).toArray();
        for (double score : scores) {
            if (!Double.isFinite(score)) {
                throw new MorException("a router score at recursion " + recursion + " is " + score
                        + ": the weights are broken; take an earlier checkpoint");
            }
        }
        Arrays.sort(scores);
        return cutoff(scores, Math.round(share * tokens));
    }

    /** Above it lie {@code above} of the ascending scores, or fewer if that would cut through equal ones. */
    private static double cutoff(double[] ascending, long above) {
        int first = ascending.length - (int) Math.min(above, ascending.length);
        if (first == 0) {
            return -FAR;
        }
        double excluded = ascending[first - 1];
        if (first == ascending.length) {
            return excluded;
        }
        double middle =
                (float) ((excluded + ascending[first]) / 2); // as far as can be from both, exact in single precision
        return middle >= excluded && middle < ascending[first] ? middle : excluded;
    }

    private Calibration measure(List<Double> wanted, Iterable<Batch> text) {
        long[] through = new long[recursions];
        long tokens = 0;
        for (Batch batch : text) {
            try (Region region = pool.region()) {
                ModelCall call = call(region);
                DepthCounter counter = new DepthCounter(model, call, batch.inputs().length);
                walk(call, batch, Optional.of(counter));
                for (int depth : counter.read()) {
                    for (int recursion = 0; recursion < depth; recursion++) {
                        through[recursion]++;
                    }
                }
            }
            tokens += batch.inputs().length;
        }
        long all = tokens;
        List<Double> achieved =
                Arrays.stream(through).mapToObj(count -> (double) count / all).toList();
        return new Calibration(
                wanted,
                achieved,
                DoubleStream.of(backend.readDoubles(weights.value(buffer)))
                        .boxed()
                        .toList(),
                tokens);
    }

    private ModelCall call(Region region) {
        return model.call(region, Phase.CAUSAL, weights, CallProgress.none(0));
    }

    private void walk(ModelCall call, Batch batch, Optional<DepthCounter> counter) {
        if (batch.context() > model.shape().context()) {
            throw new UsageException("rows of " + batch.context() + " tokens are longer than the model's context of "
                    + model.shape().context() + "; cut the text into rows of at most that");
        }
        TokenBatch sequences =
                TokenBatches.ofSequences(call.region(), Collections.nCopies(batch.rows(), batch.context()));
        IntTensor ids = call.region().ints(batch.inputs());
        MorModel.RecursionListener listener = counter.isPresent() ? counter.get() : (recursion, active) -> {};
        model.rows(call, sequences, ids, model.stepStorage(), Optional.empty(), listener);
    }

    private double[] column(Tensor tensor) {
        int count = tensor.extent()
                .count()
                .map(counter -> backend.readInts(counter)[0])
                .orElse(tensor.rows());
        return Arrays.copyOf(backend.readDoubles(tensor), count);
    }

    @Override
    public void close() {
        pool.close();
    }
}
