package io.mor.runtime.model;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Initializer;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.StateBuffer;
import io.mor.api.tensor.Stateful;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The values of a model's parameters and buffers, with gradients if it is trained. A shared layer's parameters are here once, whatever the
 * number of its visits: that is what ties them. Values and gradients lie in {@linkplain ParameterSlab slabs}, one for each optimizer group.
 *
 * <p>Lifetime: the run. Thread safety: one thread writes; reading calls may share it when nothing writes.
 */
public final class Weights implements AutoCloseable {

    private final Backend backend;
    private final Map<String, Parameter> parameters = new LinkedHashMap<>();
    private final List<ParameterSlab> slabs;
    private final List<Tensor> slabValues = new ArrayList<>();
    private final List<Tensor> slabGradients = new ArrayList<>(); // empty unless enabled
    private final Map<Parameter, Tensor> values = new HashMap<>();
    private final Map<String, StateBuffer> bufferKeys = new LinkedHashMap<>();
    private final Map<String, Tensor> buffers = new LinkedHashMap<>();
    private final Map<Tensor, Tensor> gradients = new IdentityHashMap<>();

    /**
     * Memory for everything that the parts declare, not yet initialised but for the buffers.
     *
     * @throws IllegalArgumentException if two parts declare one name
     */
    public Weights(Backend backend, Collection<? extends Stateful> parts) {
        this.backend = backend;
        for (Stateful part : parts) {
            for (Parameter parameter : part.parameters()) {
                if (parameters.putIfAbsent(parameter.name(), parameter) != null) {
                    throw new IllegalArgumentException(
                            "parameter " + parameter.name() + " is declared twice, the second time by "
                                    + part.getClass().getName());
                }
            }
            for (StateBuffer buffer : part.buffers()) {
                if (bufferKeys.putIfAbsent(buffer.name(), buffer) != null) {
                    throw new IllegalArgumentException(
                            "buffer " + buffer.name() + " is declared twice, the second time by "
                                    + part.getClass().getName());
                }
                Tensor initial = backend.allocate(buffer.rows(), buffer.columns());
                backend.fill(initial, buffer.initial());
                buffers.put(buffer.name(), initial);
            }
        }
        this.slabs = ParameterSlab.of(List.copyOf(parameters.values()));
        for (ParameterSlab slab : slabs) {
            Tensor memory = slab.allocate(backend);
            slabValues.add(memory);
            values.putAll(slab.views(backend, memory));
        }
    }

    /** The backend that holds the values. */
    public Backend backend() {
        return backend;
    }

    /** Draws fresh values: each parameter from a stream of its own, named after {@code sources} if that has it (spec 1.4). */
    public void initialize(long seed, double initializerRange, LayerSources sources) {
        for (Parameter parameter : parameters.values()) {
            if (!(parameter.initializer() instanceof Initializer.RowNorms)) {
                List<String> names = sources.of(parameter.name());
                backend.write(
                        values.get(parameter),
                        fresh(parameter, parameter.initializer(), seed, initializerRange, names));
            }
        }
        for (Parameter parameter : parameters.values()) {
            if (parameter.initializer() instanceof Initializer.RowNorms norms) {
                Parameter of = parameters.get(norms.of());
                backend.write(values.get(parameter), rowNorms(backend.readDoubles(values.get(of)), of.rows()));
            }
        }
    }

    private static double[] fresh(
            Parameter parameter, Initializer initializer, long seed, double initializerRange, List<String> sources) {
        double deviation;
        switch (initializer) {
            case Initializer.Constant constant -> {
                double[] values = new double[Math.multiplyExact(parameter.rows(), parameter.columns())];
                Arrays.fill(values, constant.value());
                return values;
            }
            case Initializer.ResidualFactor factor -> {
                return fresh(parameter, factor.otherwise(), seed, initializerRange, sources);
            }
            case Initializer.RowNorms norms ->
                throw new IllegalArgumentException(
                        "parameter " + parameter.name() + " starts from " + norms.of() + ", which must be there first");
            case Initializer.Normal normal -> deviation = normal.standardDeviation();
            case Initializer.ModelDefault ignored -> deviation = initializerRange;
        }
        double[] values = new double[Math.multiplyExact(parameter.rows(), parameter.columns())];
        for (String source : sources) {
            RandomKey key = RandomKey.of(seed, "initialize " + source, 0);
            for (int i = 0; i < values.length; i++) {
                values[i] += deviation * key.normal(0, i) / sources.size();
            }
        }
        return values;
    }

    /** Euclidean lengths of the rows of a matrix. */
    static double[] rowNorms(double[] matrix, int rows) {
        double[] norms = new double[rows];
        int columns = matrix.length / rows;
        for (int row = 0; row < rows; row++) {
            double squares = 0;
            for (int i = row * columns; i < (row + 1) * columns; i++) {
                squares += matrix[i] * matrix[i];
            }
            norms[row] = Math.sqrt(squares);
        }
        return norms;
    }

    /** Makes room for gradients and sets them to zero. */
    public void enableGradients() {
        if (slabGradients.isEmpty()) {
            for (ParameterSlab slab : slabs) {
                Tensor memory = slab.allocate(backend);
                slabGradients.add(memory);
                slab.views(backend, memory)
                        .forEach((parameter, gradient) -> gradients.put(values.get(parameter), gradient));
            }
        } else {
            zeroGradients();
        }
    }

    /** Sets all gradients to zero. */
    public void zeroGradients() {
        slabGradients.forEach(gradient -> backend.fill(gradient, 0));
    }

    /** How parameters lie in memory. */
    public List<ParameterSlab> slabs() {
        return slabs;
    }

    /** The values of a slab's parameters, {@code [elements, 1]}. */
    public Tensor values(ParameterSlab slab) {
        return slabValues.get(slabs.indexOf(slab));
    }

    /**
     * The gradients of a slab's parameters, {@code [elements, 1]}.
     *
     * @throws IllegalStateException if gradients are not enabled
     */
    public Tensor gradients(ParameterSlab slab) {
        if (slabGradients.isEmpty()) {
            throw new IllegalStateException("gradients are not enabled");
        }
        return slabGradients.get(slabs.indexOf(slab));
    }

    /** The gradient of each parameter's tensor; empty unless enabled. */
    public Map<Tensor, Tensor> gradients() {
        return Collections.unmodifiableMap(gradients);
    }

    /** All parameters in the order of declaration. */
    public List<Parameter> parameters() {
        return List.copyOf(parameters.values());
    }

    /** All buffers in the order of declaration. */
    public List<StateBuffer> buffers() {
        return List.copyOf(bufferKeys.values());
    }

    /** A parameter's values. */
    public Tensor value(Parameter parameter) {
        Tensor value = values.get(parameter);
        if (value == null) {
            throw new IllegalArgumentException(
                    "parameter " + parameter.name() + " was not declared by any part of this model");
        }
        return value;
    }

    /** A buffer's values. */
    public Tensor value(StateBuffer buffer) {
        Tensor held = buffers.get(buffer.name());
        if (held == null) {
            throw new IllegalArgumentException(
                    "buffer " + buffer.name() + " was not declared by any part of this model");
        }
        return held;
    }

    /** A parameter's gradient. */
    public Tensor gradient(Parameter parameter) {
        Tensor gradient = gradients.get(value(parameter));
        if (gradient == null) {
            throw new IllegalStateException("gradients are not enabled");
        }
        return gradient;
    }

    /** Number of trained values. */
    public long parameterCount() {
        return parameters().stream()
                .mapToLong(parameter -> (long) parameter.rows() * parameter.columns())
                .sum();
    }

    @Override
    public void close() {
        slabValues.forEach(backend::release);
        slabGradients.forEach(backend::release);
        buffers.values().forEach(backend::release);
        parameters.clear();
        values.clear();
        slabValues.clear();
        slabGradients.clear();
        buffers.clear();
        gradients.clear();
    }
}
