package io.mor.runtime.train;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.runtime.data.Batch;
import io.mor.runtime.memory.AllocationTrace;
import io.mor.runtime.memory.DryRun;
import io.mor.runtime.memory.MemoryPlan;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.PlannedMemory;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.Weights;
import io.mor.runtime.tape.Recomputation;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Takes gradients and applies them: one optimizer step at a time. One thread. */
public final class TrainingStep implements AutoCloseable {

    private final MorModel model;
    private final Weights weights;
    private final AdamW optimizer;
    private final Recomputation recomputation;
    private final Backend backend;
    private final PlannedMemory memory;
    private final MemoryPool afterStep; // for what parts do after an optimizer step
    private final DryRun dryRun;
    private final Weights weightShapes;
    private final Map<String, double[]> sums = new LinkedHashMap<>(); // name -> {sum, count}
    private double crossEntropy;
    private double totalLoss;

    /** Steps on weights. */
    public TrainingStep(MorModel model, Weights weights, AdamW optimizer) {
        this(model, weights, optimizer, Recomputation.NONE);
    }

    /**
     * As above.
     *
     * @param recomputation what is calculated again for gradients instead of kept
     */
    public TrainingStep(MorModel model, Weights weights, AdamW optimizer, Recomputation recomputation) {
        this.recomputation = recomputation;
        this.model = model;
        this.weights = weights;
        this.optimizer = optimizer;
        this.backend = weights.backend();
        this.memory = new PlannedMemory(backend);
        this.afterStep = new MemoryPool(backend);
        this.dryRun = new DryRun(backend);
        this.weightShapes = new Weights(dryRun.backend(), model.statefulParts());
        weightShapes.enableGradients();
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
        try (Region region = afterStep.region()) {
            model.afterOptimizerStep(model.call(
                    region,
                    Phase.TRAINING,
                    weights,
                    new CallProgress(state.seed(), state.step(), totalSteps, microBatch, microBatches.size())));
        }
        return new TrainingState(state.step() + 1, microBatch, state.seed(), state.tokens() + tokens);
    }

    private void takeGradients(CallProgress progress, Batch batch) {
        MicroStep taken;
        try (Region region = memory.region(trace(progress, batch))) {
            taken = MicroStep.run(model, weights, recomputation, region, progress, batch);
        }
        double share = 1.0 / progress.accumulation();
        crossEntropy += taken.crossEntropy() * share;
        totalLoss += taken.totalLoss() * share;
        taken.figures().forEach((name, values) -> values.forEach(each -> collect(name, each)));
    }

    /** What a micro-batch asks for; with a capacity that warms up it is something else every time. */
    private AllocationTrace trace(CallProgress progress, Batch batch) {
        return dryRun.trace(() -> {
            try (MemoryPool shapes = new MemoryPool(dryRun.backend());
                    Region region = shapes.region()) {
                MicroStep.run(model, weightShapes, recomputation, region, progress, batch);
            }
        });
    }

    /**
     * Where a micro-batch of some shape will have its activations, known before it runs.
     *
     * @param state where the run stands
     * @param totalSteps steps of the run
     * @param accumulation micro-batches of a step
     */
    public MemoryPlan plan(TrainingState state, long totalSteps, int accumulation, int rows, int context) {
        int[] ids = new int[rows * context];
        return MemoryPlan.of(trace(
                new CallProgress(state.seed(), state.step(), totalSteps, state.microBatch(), accumulation),
                new Batch(rows, context, ids, ids)));
    }

    private void collect(String name, double[] numbers) {
        for (int i = 0; i < numbers.length; i++) {
            double[] sum =
                    sums.computeIfAbsent(numbers.length == 1 ? name : name + "-" + (i + 1), key -> new double[2]);
            sum[0] += numbers[i];
            sum[1]++;
        }
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
        return memory.heldBytes() + afterStep.heldBytes();
    }

    @Override
    public void close() {
        memory.close();
        afterStep.close();
    }
}
