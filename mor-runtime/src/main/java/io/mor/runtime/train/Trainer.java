package io.mor.runtime.train;

import io.mor.api.backend.Backend;
import io.mor.runtime.MorException;
import io.mor.runtime.data.Batch;
import io.mor.runtime.data.BatchSampler;
import io.mor.runtime.memory.MemoryPlan;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.Weights;
import io.mor.runtime.tape.Recomputation;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * A training run: steps, reports, evaluations and checkpoints. What step n does depends on the state before it alone, so a run that was stopped or
 * killed and resumed from a checkpoint is bit-identical to one that was not.
 *
 * <p>Owns the optimizer's memory. Thread safety: one thread.
 */
public final class Trainer implements AutoCloseable {

    private final Weights weights;
    private final BatchSampler sampler;
    private final TrainingPlan plan;
    private final Path checkpoints;
    private final String config;
    private final TrainingListener listener;
    private final Supplier<Map<String, Double>> evaluation;
    private final AdamW optimizer;
    private final TrainingStep step;
    private TrainingState state;

    /**
     * A run from its beginning.
     *
     * @param weights initialised
     * @param checkpoints folder for checkpoints
     * @param config the resolved config, saved with each checkpoint
     * @param evaluation measures the model as it stands
     */
    public Trainer(
            MorModel model,
            Weights weights,
            AdamWSettings settings,
            BatchSampler sampler,
            TrainingPlan plan,
            long seed,
            Path checkpoints,
            String config,
            Supplier<Map<String, Double>> evaluation,
            TrainingListener listener) {
        this.weights = weights;
        this.sampler = sampler;
        this.plan = plan;
        this.checkpoints = checkpoints;
        this.config = config;
        this.evaluation = evaluation;
        this.listener = listener;
        this.optimizer = new AdamW(weights, settings);
        this.step = new TrainingStep(model, weights, optimizer, plan.recomputation());
        this.state = new TrainingState(0, 0, seed, 0);
    }

    /** Where the run stands. */
    public TrainingState state() {
        return state;
    }

    /** What the step to come will hold; known without running it. */
    public TrainingMemory memory() {
        return memory(sampler.rows(), plan.accumulation(), plan.recomputation());
    }

    private TrainingMemory memory(int rows, int accumulation, Recomputation recomputation) {
        MemoryPlan activations = step.plan(state, plan.steps(), accumulation, rows, sampler.context(), recomputation);
        Backend backend = weights.backend();
        long parameters = weights.parameterCount() * backend.precision().bytes();
        long buffers = weights.buffers().stream()
                        .mapToLong(buffer -> (long) buffer.rows() * buffer.columns())
                        .sum()
                * backend.precision().bytes();
        return new TrainingMemory(
                parameters + buffers,
                parameters,
                2 * parameters,
                activations.bytes(),
                activations.trace().bytesWithoutReuse(),
                backend.ownBytes(weights.parameterCount()));
    }

    /**
     * One sentence about settings that would fit, if the step to come will not fit into what the device has left; weights, gradients and moments are
     * there already.
     */
    public Optional<String> shortage() {
        OptionalLong available = weights.backend().availableBytes();
        TrainingMemory wanted = memory();
        if (available.isEmpty() || wanted.toCome() <= available.getAsLong() + step.activationBytes()) {
            return Optional.empty();
        }
        long room = available.getAsLong() + step.activationBytes();
        return Optional.of("a step needs " + gigabytes(wanted.toCome())
                + " for activations and work, and the device has " + gigabytes(room) + " left; " + fitting(room));
    }

    private String fitting(long room) {
        Recomputation most = new Recomputation(Recomputation.Kind.LAYERS);
        for (Recomputation recomputation :
                plan.recomputation().equals(most) ? List.of(most) : List.of(plan.recomputation(), most)) {
            boolean asPlanned = recomputation.equals(plan.recomputation());
            for (int parts = asPlanned ? 2 : 1; parts <= sampler.rows(); parts = nextDivisor(sampler.rows(), parts)) {
                int rows = sampler.rows() / parts;
                int accumulation = plan.accumulation() * parts;
                long bytes = memory(rows, accumulation, recomputation).toCome();
                if (sampler.rows() % parts == 0 && bytes <= room) {
                    return (asPlanned
                                    ? ""
                                    : "training.recompute: layers"
                                            + (plan.recomputation().layers() < most.layers()
                                                    ? ", training.recompute-layers: 0"
                                                    : "")
                                            + (parts == 1 ? "" : " with "))
                            + (parts == 1
                                    ? ""
                                    : "training.batch: " + rows + " and training.accumulation: " + accumulation)
                            + " would fit (" + gigabytes(bytes) + ")";
                }
            }
        }
        return "not even training.batch: 1 would fit; shorten model.context or take a smaller model";
    }

    private static int nextDivisor(int number, int after) {
        int next = after + 1;
        while (next < number && number % next != 0) {
            next++;
        }
        return next;
    }

    private static String gigabytes(long bytes) {
        return String.format(Locale.ROOT, "%.2f GB", bytes / 1e9);
    }

    /** Bytes of activations that are held from step to step. */
    public long activationBytes() {
        return step.activationBytes();
    }

    /**
     * Goes back to a checkpoint.
     *
     * @throws MorException if it does not fit or is damaged
     */
    public void resume(Checkpoint checkpoint) {
        if (checkpoint.state().step() > plan.steps()) {
            throw new MorException("checkpoint " + checkpoint.folder() + " stands at step "
                    + checkpoint.state().step() + ", but training.steps is " + plan.steps());
        }
        checkpoint.loadInto(weights);
        checkpoint.loadInto(weights, optimizer);
        state = checkpoint.state();
    }

    /**
     * Trains to the end, or until asked to stop: then the step under way is finished and saved.
     *
     * @throws NumericalFailureException if a loss or gradient is not finite
     */
    public TrainingOutcome run(BooleanSupplier stopRequested) {
        long begun = System.nanoTime();
        long trainingNanos = 0;
        long tokensBefore = state.tokens();
        long lastSaved = -1;
        long windowNanos = 0;
        long windowTokens = 0;
        double rate = 0;
        while (state.step() < plan.steps() && !stopRequested.getAsBoolean()) {
            long stepBegun = System.nanoTime();
            double learningRate = plan.learningRate().applyAsDouble(state.step());
            long done = state.tokens();
            state = step(learningRate);
            if (isAwaited()) {
                step.settle(); // else the device goes on with the next step before the host has heard of this one
            }
            long nanos = System.nanoTime() - stepBegun;
            trainingNanos += nanos;
            windowNanos += nanos;
            windowTokens += state.tokens() - done;
            long index = state.step() - 1;
            boolean last = state.step() == plan.steps();
            if (index % plan.logEvery() == 0 || last) {
                rate = windowTokens / (windowNanos * 1e-9);
                listener.onStep(report(index, learningRate, rate));
                windowNanos = 0;
                windowTokens = 0;
            }
            if (last || plan.evaluateEvery() > 0 && state.step() % plan.evaluateEvery() == 0) {
                listener.onEvaluation(index, evaluation.get());
            }
            if (last
                    || plan.keptSteps().contains(state.step())
                    || plan.checkpointEvery() > 0 && state.step() % plan.checkpointEvery() == 0) {
                save();
                lastSaved = state.step();
            }
        }
        if (lastSaved != state.step()) {
            save();
        }
        return new TrainingOutcome(
                state.step() == plan.steps(),
                state,
                checkpoints.resolve("step-%08d".formatted(state.step())),
                (System.nanoTime() - begun) * 1e-9,
                trainingNanos * 1e-9,
                state.tokens() - tokensBefore);
    }

    private TrainingState step(double learningRate) {
        try {
            return step.run(state, plan.steps(), learningRate, microBatches());
        } catch (OutOfMemoryError e) {
            throw new MorException(
                    "step " + state.step() + ": " + e.getMessage()
                            + shortage().map(text -> "; " + text).orElse(""),
                    e);
        }
    }

    /** Whether somebody wants to know how the last step went, or goes on with its weights. */
    private boolean isAwaited() {
        return state.step() == plan.steps()
                || (state.step() - 1) % plan.logEvery() == 0
                || plan.evaluateEvery() > 0 && state.step() % plan.evaluateEvery() == 0
                || plan.checkpointEvery() > 0 && state.step() % plan.checkpointEvery() == 0;
    }

    private List<Batch> microBatches() {
        List<Batch> batches = new ArrayList<>();
        for (int i = 0; i < plan.accumulation(); i++) {
            batches.add(sampler.batch(state.microBatch() + i));
        }
        return batches;
    }

    private StepReport report(long index, double learningRate, double rate) {
        double tokensLeft =
                (double) (plan.steps() - state.step()) * plan.accumulation() * sampler.rows() * sampler.context();
        Map<String, Double> figures = new LinkedHashMap<>();
        StepFigures found = step.figures();
        figures.put("cross-entropy", found.crossEntropy());
        figures.put("total-loss", found.totalLoss());
        figures.put("learning-rate", learningRate);
        figures.put("gradient-norm", found.gradientNorm());
        figures.put("tokens", (double) state.tokens());
        figures.put("tokens-per-second", rate);
        figures.putAll(found.reported());
        return new StepReport(
                index,
                plan.steps(),
                found.crossEntropy(),
                found.totalLoss(),
                learningRate,
                found.gradientNorm(),
                rate,
                rate == 0 ? 0 : tokensLeft / rate,
                figures);
    }

    private void save() {
        step.settle();
        Checkpoint saved = Checkpoint.save(
                checkpoints,
                state,
                weights,
                Optional.of(optimizer),
                config,
                plan.keptSteps().contains(state.step()));
        List<Path> passing = Checkpoint.list(checkpoints).stream()
                .filter(folder -> !Checkpoint.isKept(folder))
                .toList();
        for (Path old : passing.subList(0, Math.max(0, passing.size() - plan.checkpointsKept()))) {
            try {
                Checkpoint.deleteRecursively(old);
            } catch (IOException e) {
                throw new MorException("the old checkpoint " + old + " cannot be deleted: " + e.getMessage(), e);
            }
        }
        listener.onCheckpoint(state.step(), saved.folder());
    }

    @Override
    public void close() {
        step.close();
        optimizer.close();
    }
}
