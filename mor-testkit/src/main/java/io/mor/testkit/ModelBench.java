package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.StateBuffer;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.config.Initialization;
import io.mor.runtime.config.ModelConfig;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.LayerSources;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.ModelParts;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.Weights;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A small model on a backend that runs the runtime's own walk, and what tests read and write of it. Weights are drawn with seed 7, large enough
 * for choices to differ from token to token. One thread.
 */
public abstract class ModelBench implements AutoCloseable {

    /** Recursions of the model. */
    public static final int RECURSIONS = 3;

    /** Token ids there are. */
    public static final int VOCABULARY = 23;

    static final long SEED = 7;

    final Backend backend;
    final MorModel model;
    final MemoryPool pool;
    final Weights weights;

    ModelBench(Backend backend, ModelConfig config, ModelParts parts) {
        this.backend = backend;
        this.model = new MorModel(config, parts);
        this.pool = new MemoryPool(backend);
        this.weights = new Weights(backend, model.statefulParts());
        weights.initialize(
                SEED,
                config.initializerRange(),
                LayerSources.of(model.plan(), config.initialization(), config.layers(), SEED));
        weights.enableGradients();
    }

    /** A model that applies one block {@link #RECURSIONS} times. */
    static ModelConfig config(
            int hidden,
            int blockLayers,
            int heads,
            int kvHeads,
            int ffn,
            boolean sharedNorms,
            double initializerRange,
            double dropout) {
        return new ModelConfig(
                VOCABULARY,
                hidden,
                blockLayers * RECURSIONS,
                heads,
                kvHeads,
                ffn,
                64,
                Sharing.CYCLE,
                RECURSIONS,
                1,
                true,
                sharedNorms,
                Initialization.RANDOM,
                initializerRange,
                1e-5,
                1e4,
                dropout);
    }

    /** Parameters, buffers and gradients. */
    public Weights weights() {
        return weights;
    }

    /** A parameter by name. */
    public Parameter parameter(String name) {
        return weights.parameters().stream()
                .filter(parameter -> parameter.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    /** The values of a parameter. */
    public double[] read(Parameter parameter) {
        return backend.readDoubles(weights.value(parameter));
    }

    /** Sets a parameter. */
    public void write(Parameter parameter, double... values) {
        backend.write(weights.value(parameter), values);
    }

    /** The gradient of a parameter. */
    public double[] gradient(Parameter parameter) {
        return backend.readDoubles(weights.gradient(parameter));
    }

    /** The values of a buffer. */
    public double[] read(StateBuffer buffer) {
        return backend.readDoubles(weights.value(buffer));
    }

    /** Sets a buffer. */
    public void write(StateBuffer buffer, double... values) {
        backend.write(weights.value(buffer), values);
    }

    /** The values of all buffers by name. */
    public Map<String, List<Double>> buffers() {
        Map<String, List<Double>> all = new LinkedHashMap<>();
        weights.buffers()
                .forEach(buffer -> all.put(
                        buffer.name(), Arrays.stream(read(buffer)).boxed().toList()));
        return all;
    }

    /** The row that a token enters as. */
    public double[] embedding(int id) {
        int width = model.shape().hidden();
        return Arrays.copyOfRange(read(parameter("embed.weight")), id * width, (id + 1) * width);
    }

    /** Token ids drawn from a seed. */
    public static List<Integer> ids(long seed, int count) {
        RandomKey key = RandomKey.of(seed, "ids", 0);
        List<Integer> ids = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            ids.add((int) (key.uniform(0, i) * VOCABULARY));
        }
        return ids;
    }

    /** Where a call stands that is micro-batch {@code microBatch} of a run with {@code accumulation} micro-batches per step. */
    public static CallProgress progress(long microBatch, int accumulation) {
        return new CallProgress(SEED, microBatch / accumulation, 100, microBatch, accumulation);
    }

    /** Memory of one call. What earlier calls had is gone for good, so that a tensor that outlived its call is found where it is used. */
    Region region() {
        pool.trim();
        return pool.region();
    }

    /** The sum of all values of the final rows, each times a number of its own: what gradients are taken of. */
    Tensor weightedSum(ModelCall call, Tensor rows) {
        int width = model.shape().hidden();
        Tensor factors = call.region().allocate(rows.rows(), width);
        RandomKey key = RandomKey.of(SEED, "objective", 0);
        double[] values = new double[rows.rows() * width];
        for (int i = 0; i < values.length; i++) {
            values[i] = key.normal(0, i);
        }
        backend.write(factors, values);
        return call.ops().columnSum(call.ops().rowDot(rows, factors));
    }

    Tensor tensor(Region region, List<double[]> values, int columns) {
        Tensor tensor = region.allocate(Extent.exact(values.size()), columns);
        backend.write(tensor, values.stream().flatMapToDouble(Arrays::stream).toArray());
        return tensor;
    }

    /** The rows up to the count. */
    List<double[]> rows(Tensor tensor) {
        double[] values = backend.readDoubles(tensor);
        List<double[]> rows = new ArrayList<>();
        for (int row = 0; row < count(tensor.extent()); row++) {
            rows.add(Arrays.copyOfRange(values, row * tensor.columns(), (row + 1) * tensor.columns()));
        }
        return rows;
    }

    int count(Extent extent) {
        return extent.isExact()
                ? extent.bound()
                : backend.readInts(extent.count().get())[0];
    }

    static int[] toArray(List<Integer> values) {
        return values.stream().mapToInt(Integer::intValue).toArray();
    }

    /** Gives its memory back; the backend is its owner's to close. */
    @Override
    public void close() {
        weights.close();
        pool.close();
    }
}
