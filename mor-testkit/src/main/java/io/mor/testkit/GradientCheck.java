package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Compares a backward kernel with central differences of its forward kernel: the loss is the dot product of the result with fixed random
 * numbers, the step 1e-5, the tolerance 1e-6 relative to the larger of 1 and the gradient. Only meaningful in double precision.
 */
public final class GradientCheck implements AutoCloseable {

    private static final double STEP = 1e-5;
    private static final double TOLERANCE = 1e-6;

    private final Backend backend;
    private final Map<String, Tensor> inputs = new LinkedHashMap<>();
    private final Map<String, double[]> values = new LinkedHashMap<>();
    private final List<Tensor> held = new ArrayList<>();
    private final List<IntTensor> heldInts = new ArrayList<>();

    GradientCheck(Backend backend) {
        this.backend = backend;
    }

    /** The backend it runs on. */
    public Backend backend() {
        return backend;
    }

    /** A forward kernel: writes the result. */
    @FunctionalInterface
    public interface Forward {
        /** Computes {@code out} from the inputs. */
        void run(Map<String, Tensor> inputs, Tensor out);
    }

    /** A backward kernel: sets gradients, or adds to the zeros they hold. */
    @FunctionalInterface
    public interface Backward {
        /** Computes the inputs' gradients, by the inputs' names. */
        void run(Map<String, Tensor> inputs, Tensor out, Tensor dout, Map<String, Tensor> gradients);
    }

    /** An input with a gradient, uniform in [low, high). */
    public GradientCheck input(String name, int rows, int columns, double low, double high) {
        double[] drawn = uniform(name, rows * columns, low, high);
        Tensor tensor = scratch(rows, columns);
        backend.write(tensor, drawn);
        inputs.put(name, tensor);
        values.put(name, drawn);
        return this;
    }

    /** Memory for what the forward kernel saves for the backward kernel. */
    public Tensor scratch(int rows, int columns) {
        Tensor tensor = backend.allocate(rows, columns);
        held.add(tensor);
        return tensor;
    }

    /** A vector of integers. */
    public IntTensor ints(int... integers) {
        IntTensor tensor = backend.allocateInts(integers.length);
        heldInts.add(tensor);
        backend.write(tensor, integers);
        return tensor;
    }

    /** Compares all gradients. */
    public void check(int rows, int columns, Forward forward, Backward backward) {
        Tensor out = scratch(rows, columns);
        Tensor dout = scratch(rows, columns);
        double[] weights = uniform("dout", rows * columns, -1, 1);
        backend.write(dout, weights);
        Map<String, Tensor> gradients = new LinkedHashMap<>();
        inputs.forEach((name, tensor) -> gradients.put(name, scratch(tensor.rows(), tensor.columns())));
        gradients.values().forEach(gradient -> backend.fill(gradient, 0));
        forward.run(inputs, out);
        backward.run(inputs, out, dout, gradients);
        values.forEach((name, initial) -> {
            double[] gradient = backend.readDoubles(gradients.get(name));
            for (int i = 0; i < initial.length; i++) {
                double slope =
                        (loss(name, i, STEP, forward, out, weights) - loss(name, i, -STEP, forward, out, weights))
                                / (2 * STEP);
                if (!KernelRun.close(slope, gradient[i], TOLERANCE)) {
                    throw new AssertionError(String.format(
                            Locale.ROOT,
                            "the gradient of %s[%d] is %.9g, central differences say %.9g",
                            name,
                            i,
                            gradient[i],
                            slope));
                }
            }
        });
    }

    private double loss(String name, int element, double step, Forward forward, Tensor out, double[] weights) {
        double[] moved = values.get(name).clone();
        moved[element] += step;
        backend.write(inputs.get(name), moved);
        forward.run(inputs, out);
        backend.write(inputs.get(name), values.get(name));
        double[] result = backend.readDoubles(out);
        double loss = 0;
        for (int i = 0; i < result.length; i++) {
            loss += result[i] * weights[i];
        }
        return loss;
    }

    private static double[] uniform(String name, int length, double low, double high) {
        RandomKey key = RandomKey.of(7, name, 0);
        double[] drawn = new double[length];
        for (int i = 0; i < length; i++) {
            drawn[i] = low + (high - low) * key.uniform(0, i);
        }
        return drawn;
    }

    @Override
    public void close() {
        held.forEach(backend::release);
        heldInts.forEach(backend::release);
    }
}
