package io.mor.runtime.train;

import io.mor.api.backend.Backend;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.data.Batch;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.Weights;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Takes gradients and applies them: one optimizer step at a time. One thread. */
public final class TrainingStep implements AutoCloseable {

    private final MorModel model;
    private final Weights weights;
    private final AdamW optimizer;
    private final Backend backend;
    private final MemoryPool pool;
    private final Map<String, double[]> sums = new LinkedHashMap<>(); // name -> {sum, count}
    private double crossEntropy;
    private double totalLoss;

    /** Steps on weights, whose gradients it enables. */
    public TrainingStep(MorModel model, Weights weights, AdamW optimizer) {
        this.model = model;
        this.weights = weights;
        this.optimizer = optimizer;
        this.backend = weights.backend();
        this.pool = new MemoryPool(backend);
        weights.enableGradients();
    }

    /**
     * One optimizer step over some micro-batches.
     *
     * @param state where the run stands before the step
     * @param totalSteps steps of the run
     * @param learningRate of this step
     * @return where it stands after it
     * @throws NumericalFailureException if the loss or a gradient is not finite; weights are as before the step
     */
    public TrainingState run(TrainingState state, long totalSteps, double learningRate, List<Batch> microBatches) {
        weights.zeroGradients();
        sums.clear();
        crossEntropy = 0;
        totalLoss = 0;
        long microBatch = state.microBatch();
        long tokens = 0;
        for (Batch batch : microBatches) {
            takeGradients(
                    new CallProgress(state.seed(), state.step(), totalSteps, microBatch++, microBatches.size()), batch);
            tokens += (long) batch.rows() * batch.context();
        }
        if (!Double.isFinite(totalLoss)) {
            throw new NumericalFailureException("step " + state.step() + ": the loss is " + totalLoss + "; "
                    + firstNotFinite() + ". Lower training.learning-rate or training.clip-norm");
        }
        optimizer.clip();
        double norm = optimizer.gradientNorm();
        if (!Double.isFinite(norm)) {
            throw new NumericalFailureException("step " + state.step() + ": the gradients' norm is " + norm + "; "
                    + firstNotFinite() + ". Lower training.learning-rate or training.clip-norm");
        }
        optimizer.apply(state.step() + 1, learningRate);
        try (Region region = pool.region()) {
            model.afterOptimizerStep(model.call(
                    region,
                    Phase.TRAINING,
                    weights,
                    new CallProgress(state.seed(), state.step(), totalSteps, microBatch, microBatches.size())));
        }
        return new TrainingState(state.step() + 1, microBatch, state.seed(), state.tokens() + tokens);
    }

    private void takeGradients(CallProgress progress, Batch batch) {
        try (Region region = pool.region()) {
            ModelCall call = model.call(region, Phase.TRAINING, weights, progress);
            TokenBatch tokens = TokenBatches.ofSequences(region, Collections.nCopies(batch.rows(), batch.context()));
            Tensor rows = model.rows(call, tokens, region.ints(batch.inputs()), model.stepStorage());
            double share = 1.0 / progress.accumulation();
            Tensor loss = call.tape()
                    .meanHeadCrossEntropy(rows, weights.value(model.head()), region.ints(batch.targets()), share);
            Optional<Tensor> auxiliary = call.weightedLosses();
            // The language model's own gradients were taken on the way forward; the tape carries them on, with or
            // without other losses.
            call.tape().backward(auxiliary.orElse(loss), share);
            double value = backend.readDoubles(loss)[0];
            crossEntropy += value * share;
            totalLoss +=
                    (value + auxiliary.map(term -> backend.readDoubles(term)[0]).orElse(0.0)) * share;
            call.losses()
                    .forEach((name, terms) -> collect(
                            name, terms.stream().mapToDouble(this::scalar).sum()));
            call.metrics().forEach((name, values) -> values.forEach(each -> collect(name, each)));
        }
    }

    private double scalar(Tensor tensor) {
        return backend.readDoubles(tensor)[0];
    }

    private void collect(String name, Tensor values) {
        double[] numbers = backend.readDoubles(values);
        if (numbers.length == 1) {
            collect(name, numbers[0]);
            return;
        }
        for (int i = 0; i < numbers.length; i++) {
            collect(name + "-" + (i + 1), numbers[i]);
        }
    }

    private void collect(String name, double value) {
        double[] sum = sums.computeIfAbsent(name, key -> new double[2]);
        sum[0] += value;
        sum[1]++;
    }

    private String firstNotFinite() {
        for (Parameter parameter : weights.parameters()) {
            for (double value : backend.readDoubles(weights.value(parameter))) {
                if (!Double.isFinite(value)) {
                    return "weight " + parameter.name() + " holds " + value;
                }
            }
        }
        for (Parameter parameter : weights.parameters()) {
            for (double value : backend.readDoubles(weights.gradient(parameter))) {
                if (!Double.isFinite(value)) {
                    return "the gradient of " + parameter.name() + " holds " + value;
                }
            }
        }
        return "all weights and gradients are finite";
    }

    /** Mean loss of the language model over the last step, nats per token. */
    public double crossEntropy() {
        return crossEntropy;
    }

    /** The last step's loss with its auxiliary terms. */
    public double totalLoss() {
        return totalLoss;
    }

    /** Norm of the last step's gradients before clipping. */
    public double gradientNorm() {
        return optimizer.gradientNorm();
    }

    /** Means of what parts of the model reported in the last step, by name. */
    public Map<String, Double> figures() {
        Map<String, Double> figures = new LinkedHashMap<>();
        sums.forEach((name, sum) -> figures.put(name, sum[0] / sum[1]));
        return figures;
    }

    /** Bytes of activations, held for the steps to come. */
    public long activationBytes() {
        return pool.heldBytes();
    }

    @Override
    public void close() {
        pool.close();
    }
}
