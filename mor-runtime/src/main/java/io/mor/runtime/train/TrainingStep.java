package io.mor.runtime.train;

import io.mor.api.backend.Backend;
import io.mor.api.backend.HostCopy;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
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
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

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
    private final Tensor healthShape;
    private Optional<Underway> underway = Optional.empty();
    private StepFigures settled = new StepFigures(0, 0, 0, Map.of());

    /** What is repeated, and for which shapes. */
    private record Repeated(String what, int rows, int context) {
        @Override
        public String toString() {
            return what + " of " + rows + " x " + context + " tokens";
        }
    }

    /** A step whose figures are on their way to the host. */
    private record Underway(long step, List<MicroStep> microSteps, HostCopy sumOfSquares) {
        boolean hasArrived() {
            return sumOfSquares.hasArrived();
        }
    }

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
        this.healthShape = dryRun.backend().allocate(1, 1);
    }

    /**
     * One optimizer step over some micro-batches. The host does not wait for it: what it finds out is settled when the step after it has begun, or
     * by {@link #settle}.
     *
     * @param state where the run stands before the step
     * @param totalSteps steps of the run
     * @param learningRate of this step
     * @return where it stands after it
     * @throws NumericalFailureException if the loss or a gradient of this step or the one before is not finite; weights are as before that step
     */
    public TrainingState run(TrainingState state, long totalSteps, double learningRate, List<Batch> microBatches) {
        long tokens = 0;
        List<MicroStep> microSteps = new ArrayList<>();
        for (int i = 0; i < microBatches.size(); i++) {
            Batch batch = microBatches.get(i);
            boolean first = i == 0;
            CallProgress progress = new CallProgress(
                    state.seed(), state.step(), totalSteps, state.microBatch() + i, microBatches.size());
            AllocationTrace trace = trace(progress, batch, recomputation);
            backend.repeated(
                    new Repeated(first ? "the first micro-batch" : "a micro-batch", batch.rows(), batch.context()),
                    () -> {
                        try (Region region = memory.region(trace)) {
                            microSteps.add(MicroStep.run(
                                    model, weights, recomputation, region, progress, batch, first, optimizer.health()));
                        }
                    });
            tokens += (long) batch.rows() * batch.context();
        }
        long microBatch = state.microBatch() + microBatches.size();
        HostCopy[] sumOfSquares = new HostCopy[1];
        backend.repeated(new Repeated("an optimizer step", 0, 0), () -> {
            optimizer.clip();
            sumOfSquares[0] = optimizer.sumOfSquares();
            optimizer.apply(state.step() + 1, learningRate);
            try (Region region = afterStep.region()) {
                model.afterOptimizerStep(model.call(
                        region,
                        Phase.TRAINING,
                        weights,
                        new CallProgress(state.seed(), state.step(), totalSteps, microBatch, microBatches.size())));
            }
        });
        Optional<Underway> before = underway;
        underway = Optional.of(new Underway(state.step(), microSteps, sumOfSquares[0]));
        before.ifPresent(this::settle);
        if (underway.get().hasArrived()) {
            settle();
        }
        return new TrainingState(state.step() + 1, microBatch, state.seed(), state.tokens() + tokens);
    }

    /**
     * Waits for the steps so far.
     *
     * @throws NumericalFailureException if the loss or a gradient of the last one is not finite; weights are as before it
     */
    public void settle() {
        Optional<Underway> last = underway;
        underway = Optional.empty();
        last.ifPresent(this::settle);
    }

    private void settle(Underway step) {
        double share = 1.0 / step.microSteps().size();
        double crossEntropy = 0;
        double totalLoss = 0;
        Map<String, double[]> sums = new LinkedHashMap<>(); // name -> {sum, count}
        for (MicroStep taken : step.microSteps()) {
            crossEntropy += taken.crossEntropy() * share;
            totalLoss += taken.totalLoss() * share;
            taken.figures().forEach((name, values) -> values.forEach(each -> collect(sums, name, each)));
        }
        requireFinite(step, "the loss is ", totalLoss);
        double norm = Math.sqrt(step.sumOfSquares().values()[0]);
        requireFinite(step, "the gradients' norm is ", norm);
        Map<String, Double> figures = new LinkedHashMap<>();
        sums.forEach((name, sum) -> figures.put(name, sum[0] / sum[1]));
        settled = new StepFigures(crossEntropy, totalLoss, norm, figures);
    }

    private void requireFinite(Underway step, String what, double value) {
        if (!Double.isFinite(value)) {
            throw new NumericalFailureException("step " + step.step() + ": " + what + value + "; " + firstNotFinite()
                    + ". Lower training.learning-rate or training.clip-norm");
        }
    }

    /** What a micro-batch asks for; with a capacity that warms up it is something else every time. */
    private AllocationTrace trace(CallProgress progress, Batch batch, Recomputation recomputation) {
        return dryRun.trace(() -> {
            try (MemoryPool shapes = new MemoryPool(dryRun.backend());
                    Region region = shapes.region()) {
                MicroStep.run(model, weightShapes, recomputation, region, progress, batch, false, healthShape);
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
        return plan(state, totalSteps, accumulation, rows, context, recomputation);
    }

    /**
     * As above, if something else were recomputed.
     *
     * @param other what is calculated again for gradients instead of kept
     */
    MemoryPlan plan(
            TrainingState state, long totalSteps, int accumulation, int rows, int context, Recomputation other) {
        int[] ids = new int[rows * context];
        return MemoryPlan.of(trace(
                new CallProgress(state.seed(), state.step(), totalSteps, state.microBatch(), accumulation),
                new Batch(rows, context, ids, ids),
                other));
    }

    private static void collect(Map<String, double[]> sums, String name, double[] numbers) {
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
        return underway.isPresent()
                ? "all weights are finite, and the gradients are those of the step after it already"
                : "all weights and gradients are finite";
    }

    /** What the last settled step found out. */
    public StepFigures figures() {
        return settled;
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
