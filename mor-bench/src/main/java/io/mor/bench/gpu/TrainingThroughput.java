package io.mor.bench.gpu;

import io.mor.api.backend.Precision;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import io.mor.backend.cuda.CudaBackend;
import io.mor.backend.cuda.CudaConfig;
import io.mor.backend.cuda.CudaDoctor;
import io.mor.backend.cuda.CudaMode;
import io.mor.backend.cuda.CudaPrecision;
import io.mor.backend.cuda.CudaProducts;
import io.mor.backend.cuda.KernelTime;
import io.mor.runtime.data.Batch;
import io.mor.runtime.model.Weights;
import io.mor.runtime.plugin.ExtensionFactory;
import io.mor.runtime.plugin.PluginCatalog;
import io.mor.runtime.tape.Recomputation;
import io.mor.runtime.train.AdamW;
import io.mor.runtime.train.AdamWSettings;
import io.mor.runtime.train.TrainingState;
import io.mor.runtime.train.TrainingStep;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * How fast whole training steps are on a GPU: models of the paper's sizes on random tokens, forward, backward, clipping and AdamW, beside what the
 * card could do by the rates measured in the same run.
 *
 * <p>Arguments: {@code KEY=VALUE...} and models. A model is {@code SIZE[:RECURSIONS[:RECOMPUTE]]}: {@code 360m} is vanilla, {@code 360m:3} a middle
 * cycle with expert choice and 3 recursions, {@code 135m:1:none} vanilla with nothing recomputed. Keys: {@code batch} (16), {@code context} (2048),
 * {@code steps} (10), {@code warm-up} (3), {@code precision} (bf16 or f32), {@code recompute} (norms-and-gates, norms-and-gates/24
 * for the 24 layers that run first, or none; where a model does not say), {@code products} (first or fastest), {@code kernels} (folder for compiled kernels), {@code details} (true lists every kernel), {@code graphs} (true; false launches kernel by
 * kernel).
 */
public final class TrainingThroughput {

    private static final double PEAK = 989e12; // an H100's dense bfloat16 products by its data sheet
    private static final long SEED = 17;
    private static final List<String> KEYS = List.of(
            "batch",
            "context",
            "steps",
            "warm-up",
            "precision",
            "recompute",
            "kernels",
            "details",
            "graphs",
            "products");
    private static final String USAGE =
            "arguments are models, as 360m or 360m:3, and KEY=VALUE with the keys " + String.join(", ", KEYS)
                    + "; precision is bf16 or f32, recompute norms-and-gates, layers or none, products first or fastest";

    private final CudaBackend backend;
    private final Options options;
    private double bytesPerSecond;
    private double operationsPerSecond;

    private record Options(
            int batch,
            int context,
            int steps,
            int warmUp,
            CudaPrecision precision,
            Recomputation recompute,
            String kernels,
            boolean details,
            boolean graphs,
            CudaProducts products,
            List<String> models) {

        /**
         * @throws IllegalArgumentException naming the argument that is not understood, and what would be
         */
        static Options of(String[] arguments) {
            Options options = new Options(
                    16,
                    2048,
                    10,
                    3,
                    CudaPrecision.BF16,
                    new Recomputation(Recomputation.Kind.NORMS_AND_GATES),
                    "",
                    false,
                    true,
                    CudaProducts.FIRST,
                    Arrays.stream(arguments).filter(each -> !each.contains("=")).toList());
            for (String argument : arguments) {
                try {
                    if (argument.contains("=")) {
                        options = options.with(
                                argument.substring(0, argument.indexOf('=')),
                                argument.substring(argument.indexOf('=') + 1));
                    } else {
                        checkModel(argument);
                    }
                } catch (IllegalArgumentException e) {
                    throw new IllegalArgumentException(
                            argument + " is not understood (" + e.getMessage() + "); " + USAGE, e);
                }
            }
            return options.models.isEmpty()
                    ? options.withModels(List.of("135m:1:none", "360m", "360m:2", "360m:3"))
                    : options;
        }

        private static void checkModel(String name) {
            if (!name.matches("[a-z0-9]+(:[1-9][0-9]*(:[^:]+)?)?")) {
                throw new IllegalArgumentException("a model is SIZE[:RECURSIONS[:RECOMPUTE]]");
            }
            String[] words = name.split(":");
            if (words.length > 2) {
                recomputation(words[2]);
            }
        }

        private static int number(String value, int least) {
            int number = Integer.parseInt(value);
            if (number < least) {
                throw new IllegalArgumentException("at least " + least);
            }
            return number;
        }

        private Options withModels(List<String> chosen) {
            return new Options(
                    batch, context, steps, warmUp, precision, recompute, kernels, details, graphs, products, chosen);
        }

        private Options with(String key, String value) {
            if (!KEYS.contains(key)) {
                throw new IllegalArgumentException("no such key");
            }
            return new Options(
                    key.equals("batch") ? number(value, 1) : batch,
                    key.equals("context") ? number(value, 1) : context,
                    key.equals("steps") ? number(value, 1) : steps,
                    key.equals("warm-up") ? number(value, 0) : warmUp,
                    key.equals("precision") ? CudaPrecision.valueOf(value.toUpperCase(Locale.ROOT)) : precision,
                    key.equals("recompute") ? recomputation(value) : recompute,
                    key.equals("kernels") ? value : kernels,
                    key.equals("details") ? Boolean.parseBoolean(value) : details,
                    key.equals("graphs") ? Boolean.parseBoolean(value) : graphs,
                    key.equals("products") ? CudaProducts.valueOf(value.toUpperCase(Locale.ROOT)) : products,
                    models);
        }
    }

    private static Recomputation recomputation(String value) {
        String[] parts = value.split("/");
        Recomputation.Kind kind =
                Recomputation.Kind.valueOf(parts[0].toUpperCase(Locale.ROOT).replace('-', '_'));
        return parts.length == 1 ? new Recomputation(kind) : new Recomputation(kind, Integer.parseInt(parts[1]));
    }

    private TrainingThroughput(CudaBackend backend, Options options) {
        this.backend = backend;
        this.options = options;
    }

    /** Prints a block of figures for every model. */
    public static void main(String[] arguments) {
        Options options;
        try {
            options = Options.of(arguments);
        } catch (IllegalArgumentException e) {
            System.err.println("TrainingThroughput: " + e.getMessage());
            System.exit(2);
            return;
        }
        CudaDoctor doctor = CudaDoctor.examine();
        if (!doctor.usable()) {
            System.out.println("no figures: " + doctor.summary());
            System.exit(1);
        }
        try (PluginCatalog catalog = PluginCatalog.discover();
                ExtensionFactory factory = new ExtensionFactory(catalog)) {
            for (String name : options.models) {
                long start = System.nanoTime();
                // one backend for each, so that each has its own peak
                try (CudaBackend backend = new CudaBackend(new CudaConfig(
                        0, options.precision, CudaMode.FAST, options.graphs, options.products, options.kernels))) {
                    String[] words = name.split(":");
                    TrainingThroughput throughput = new TrainingThroughput(backend, options);
                    throughput.measureRates();
                    throughput.train(
                            name,
                            words.length > 2 ? recomputation(words[2]) : options.recompute,
                            new BenchmarkedModel(
                                    catalog,
                                    factory,
                                    "smollm-" + words[0],
                                    words.length > 1 ? Integer.parseInt(words[1]) : 1));
                }
                System.out.printf(Locale.ROOT, "  all of it took %.1f s%n%n", (System.nanoTime() - start) * 1e-9);
            }
        }
    }

    /** Work to time. */
    @FunctionalInterface
    private interface Work {
        void run();
    }

    private double seconds(Work work) {
        for (int i = 0; i < 3; i++) {
            work.run();
        }
        backend.synchronize();
        double[] samples = new double[5];
        for (int i = 0; i < samples.length; i++) {
            long start = System.nanoTime();
            for (int call = 0; call < 5; call++) {
                work.run();
            }
            backend.synchronize();
            samples[i] = (System.nanoTime() - start) * 1e-9 / 5;
        }
        Arrays.sort(samples);
        return samples[samples.length / 2];
    }

    /** What the card reaches here: a large copy, and a large product of random numbers. */
    private void measureRates() {
        int size = 8192;
        Precision stored = backend.activationPrecision(size);
        Tensor a = backend.allocate(size, size, stored);
        Tensor b = backend.allocate(size, size, stored);
        Tensor out = backend.allocate(size, size, stored);
        for (Tensor tensor : List.of(a, b)) {
            backend.uniform(tensor, RandomKey.of(SEED, "rates", 0));
            backend.affine(tensor, tensor, 2, -1, false);
        }
        operationsPerSecond = 2.0 * size * size * size / seconds(() -> backend.matmul(out, a, false, b, true, false));
        List.of(a, b, out).forEach(backend::release);
        int rows = 1 << 17; // 1 GiB of bfloat16
        Tensor from = backend.allocate(rows, 4096, stored);
        Tensor to = backend.allocate(rows, 4096, stored);
        backend.fill(from, 1);
        bytesPerSecond = 2.0 * rows * 4096 * stored.bytes() / seconds(() -> backend.copy(to, from));
        List.of(from, to).forEach(backend::release);
    }

    private void train(String name, Recomputation recompute, BenchmarkedModel benchmarked) {
        try (Weights weights = benchmarked.weights(backend);
                AdamW optimizer = new AdamW(weights, AdamWSettings.PUBLISHED);
                TrainingStep step = new TrainingStep(benchmarked.model(), weights, optimizer, recompute)) {
            int tokens = options.batch * options.context;
            int total = options.warmUp + options.steps + 1;
            SplittableRandom random = new SplittableRandom(SEED);
            TrainingState[] state = {new TrainingState(0, 0, SEED, 0)};
            long parameters = weights.parameterCount();
            long planned = 4 * (long) Float.BYTES * parameters // weights, gradients and two moments
                    + step.plan(state[0], total, 1, options.batch, options.context)
                            .bytes()
                    + backend.ownBytes(parameters);
            double[] samples = new double[options.steps];
            long begun = 0;
            for (int i = 0; i < options.warmUp + options.steps; i++) {
                if (i == options.warmUp) {
                    begun = System.nanoTime(); // the device has just begun the step before, which counts too
                }
                List<Batch> batches = List.of(batch(random, benchmarked.config().vocabulary()));
                long start = System.nanoTime();
                state[0] = step.run(state[0], total, 1e-4, batches); // waits for the step before
                if (i >= options.warmUp) {
                    samples[i - options.warmUp] = (System.nanoTime() - start) * 1e-9;
                }
            }
            step.settle();
            int timed = options.steps + (options.warmUp > 0 ? 1 : 0);
            double mean = (System.nanoTime() - begun) * 1e-9 / timed;
            long peak = backend.peakBytes();
            double loss = step.figures().crossEntropy();
            Arrays.sort(samples);
            double perSecond = tokens / mean;
            double perToken = benchmarked.trainingFlops(options.context);
            System.out.printf(Locale.ROOT, "== %s, %s%n", name, backend.description());
            System.out.printf(
                    Locale.ROOT,
                    "  B=%d T=%d recompute=%s products=%s: %,.0f tokens/s, step %.2f ms (mean of %d one after the other; the host took %.2f to %.2f for one), peak %.2f GiB (%.2f planned)%n",
                    options.batch,
                    options.context,
                    recompute,
                    options.products,
                    perSecond,
                    mean * 1e3,
                    timed,
                    samples[0] * 1e3,
                    samples[samples.length - 1] * 1e3,
                    peak / (double) (1L << 30),
                    planned / (double) (1L << 30));
            System.out.printf(
                    Locale.ROOT,
                    "  parameters %,d, loss %.4f, mfu %.1f %%, mfu-6n %.1f %% (of %.0f TFLOP/s); measured here: products %.0f TFLOP/s, copy %.0f GB/s%n",
                    weights.parameterCount(),
                    loss,
                    100 * perSecond * perToken / PEAK,
                    100 * perSecond * 6 * weights.parameterCount() / PEAK,
                    PEAK * 1e-12,
                    operationsPerSecond * 1e-12,
                    bytesPerSecond * 1e-9);
            List<Batch> batches = List.of(batch(random, benchmarked.config().vocabulary()));
            List<KernelTime> times = backend.profile(() -> state[0] = step.run(state[0], total, 1e-4, batches));
            StepParts parts = new StepParts(bytesPerSecond, operationsPerSecond);
            // backward: five products of the forward's two
            parts.add(
                    times,
                    benchmarked.config().vocabulary(),
                    3.5 * tokens * benchmarked.attentionFlops(options.context));
            parts.print(mean);
            System.out.printf(Locale.ROOT, "  %s%n", backend.graphUse());
            if (options.details) {
                times.stream()
                        .sorted(Comparator.comparingDouble(KernelTime::seconds).reversed())
                        .forEach(time -> System.out.printf(
                                Locale.ROOT,
                                "    %-44s %5d calls %9.3f ms %8.0f GB/s %8.1f TFLOP/s%n",
                                time.kernel(),
                                time.calls(),
                                time.seconds() * 1e3,
                                time.bytes() / time.seconds() * 1e-9,
                                time.operations() / time.seconds() * 1e-12));
            }
        }
    }

    private Batch batch(SplittableRandom random, int vocabulary) {
        int tokens = options.batch * options.context;
        return new Batch(
                options.batch,
                options.context,
                random.ints(tokens, 0, vocabulary).toArray(),
                random.ints(tokens, 0, vocabulary).toArray());
    }
}
