package io.mor.runtime.train;

import io.mor.api.backend.AdamWStep;
import io.mor.api.backend.Backend;
import io.mor.api.backend.HostCopy;
import io.mor.api.tensor.OptimizerGroup;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.model.ParameterSlab;
import io.mor.runtime.model.Weights;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * AdamW over all parameters of a model (spec 5.3), each group with its own learning-rate factor, decay and clipping. The gradients of a
 * step never leave the device: the clipping factor is a tensor.
 *
 * <p>Lifetime: the run. Thread safety: one thread.
 */
public final class AdamW implements AutoCloseable {

    /** The moments of a slab's parameters. */
    private record Moments(Tensor first, Tensor second) {}

    private final Backend backend;
    private final Weights weights;
    private final AdamWSettings settings;
    private final Map<ParameterSlab, Moments> moments = new LinkedHashMap<>();
    private final Map<Parameter, Tensor> firstMoments = new HashMap<>();
    private final Map<Parameter, Tensor> secondMoments = new HashMap<>();
    private final Map<String, List<Tensor>> clippedTogether = new LinkedHashMap<>();
    private final Map<String, Tensor> squares = new LinkedHashMap<>();
    private final Map<String, Tensor> factors = new LinkedHashMap<>();
    private final Tensor health; // 0, or NaN once anything was not finite

    /** An optimizer with moments of zero, on weights whose gradients it enables. */
    public AdamW(Weights weights, AdamWSettings settings) {
        this.backend = weights.backend();
        this.weights = weights;
        this.settings = settings;
        weights.enableGradients();
        for (ParameterSlab slab : weights.slabs()) {
            Moments fresh = new Moments(slab.allocate(backend), slab.allocate(backend));
            moments.put(slab, fresh);
            firstMoments.putAll(slab.views(backend, fresh.first()));
            secondMoments.putAll(slab.views(backend, fresh.second()));
        }
        for (Parameter parameter : weights.parameters()) {
            clippedTogether
                    .computeIfAbsent(clipping(parameter.group()), name -> new ArrayList<>())
                    .add(weights.gradient(parameter));
        }
        for (String name : clippedTogether.keySet()) {
            squares.put(name, backend.allocate(1, 1));
            factors.put(name, backend.allocate(1, 1));
        }
        this.health = backend.allocate(1, 1);
        backend.fill(health, 0);
    }

    /**
     * A scalar that is 0 while all is well. Once it is NaN, which {@link #clip} makes it when a gradient is not finite, no step changes anything: so
     * weights stay as they were before the step that failed, however much later the host learns of it.
     */
    Tensor health() {
        return health;
    }

    private static String clipping(OptimizerGroup group) {
        return group.separateClipping() ? group.name() : "model";
    }

    /** Finds the norm and the clipping factor of the gradients that the weights hold; to be called before {@link #apply}. */
    public void clip() {
        clippedTogether.forEach((name, gradients) -> {
            Tensor sum = squares.get(name);
            backend.sumOfSquares(sum, gradients);
            backend.clipFactor(factors.get(name), sum, settings.clipNorm());
            backend.affine(health, sum, 0, 0, true); // 0 times what is not finite is NaN
        });
        factors.values().forEach(factor -> backend.add(factor, factor, health, 1));
    }

    /**
     * One step with the gradients that the weights hold, clipped.
     *
     * @param step t, from 1
     * @param learningRate scheduled for this step
     */
    public void apply(long step, double learningRate) {
        moments.forEach((slab, moment) -> {
            OptimizerGroup group = slab.group();
            backend.adamW(
                    weights.values(slab),
                    weights.gradients(slab),
                    moment.first(),
                    moment.second(),
                    factors.get(clipping(group)),
                    new AdamWStep(
                            learningRate * group.learningRateFactor(),
                            settings.beta1(),
                            settings.beta2(),
                            settings.epsilon(),
                            group.weightDecay() ? settings.weightDecay() : 0,
                            step));
        });
    }

    /** The sum of squares of the gradients before clipping, as found by {@link #clip}. */
    HostCopy sumOfSquares() {
        return backend.readLater(squares.get("model"));
    }

    /** First moments by parameter. */
    public Tensor firstMoment(Parameter parameter) {
        return firstMoments.get(parameter);
    }

    /** Second moments by parameter. */
    public Tensor secondMoment(Parameter parameter) {
        return secondMoments.get(parameter);
    }

    @Override
    public void close() {
        moments.values().forEach(moment -> {
            backend.release(moment.first());
            backend.release(moment.second());
        });
        squares.values().forEach(backend::release);
        factors.values().forEach(backend::release);
        backend.release(health);
        moments.clear();
        squares.clear();
        factors.clear();
    }
}
