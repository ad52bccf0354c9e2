package io.mor.bench;

import io.mor.api.backend.AdamWStep;
import io.mor.api.backend.Backend;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import io.mor.backend.cpu.CpuBackend;
import io.mor.backend.cpu.CpuConfig;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Kernels of backend {@code cpu}: the median and the best rate of each beside the machine's limit measured in the same run. The last line is
 * JSON.
 *
 * <p>Usage: {@code KernelBenchmark [threads [regular expression of names [seconds per kernel]]]}; 0 threads: one per processor. Floating-point
 * operations are those of the products (2 m n k; attention counts only the keys that a query sees); bytes are those that the kernel must read
 * and write once.
 */
public final class KernelBenchmark {

    private static final ThreadMXBean PROCESSOR = ManagementFactory.getThreadMXBean();

    private final Backend backend;
    private final boolean oneThread;
    private final MachineLimits limits;
    private final Pattern names;
    private final double seconds;
    private final PrintStream out;
    private final List<String> json = new ArrayList<>();

    private KernelBenchmark(
            Backend backend, boolean oneThread, MachineLimits limits, Pattern names, double seconds, PrintStream out) {
        this.backend = backend;
        this.oneThread = oneThread;
        this.limits = limits;
        this.names = names;
        this.seconds = seconds;
        this.out = out;
    }

    /** Runs; see the class. */
    public static void main(String[] arguments) {
        int asked = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 0;
        int threads = asked == 0 ? Runtime.getRuntime().availableProcessors() : asked;
        Pattern names = Pattern.compile(arguments.length > 1 ? arguments[1] : ".*");
        double seconds = arguments.length > 2 ? Double.parseDouble(arguments[2]) : 1;
        PrintStream out = System.out;
        MachineLimits limits = MachineLimits.measure(threads);
        try (CpuBackend backend = new CpuBackend(new CpuConfig(threads))) {
            out.println(backend.description());
            out.println("machine: " + limits);
            new KernelBenchmark(backend, threads == 1, limits, names, seconds, out).run();
        }
    }

    private void run() {
        out.printf("%-46s %9s %9s %8s  %s%n", "kernel", "median", "best", "of limit", "unit");
        matrixProducts();
        attention();
        elementwise();
        rows();
        out.printf(
                Locale.ROOT,
                "{\"backend\":\"%s\",\"limit-gflops\":%.1f,\"limit-copy-gbs\":%.2f,\"limit-read-gbs\":%.2f,\"kernels\":{%s}}%n",
                backend.description(),
                limits.gigaflops(),
                limits.copyBandwidth(),
                limits.readBandwidth(),
                String.join(",", json));
    }

    private void matrixProducts() {
        int[][] sizes = {
            {4096, 576, 576},
            {4096, 1536, 576},
            {4096, 576, 1536},
            {512, 49152, 576},
            {1024, 1024, 1024},
            {768, 2304, 768}, // large
            {768, 128, 128},
            {768, 352, 128},
            {768, 128, 352},
            {4096, 128, 128},
            {4096, 352, 128},
            {4096, 256, 128},
            {1024, 256, 256}, // small
        };
        for (int[] size : sizes) {
            int m = size[0];
            int n = size[1];
            int k = size[2];
            String shape = m + "x" + n + "x" + k;
            product("forward A*B^T " + shape, m, n, k, false, true);
            product("dX A*B " + shape, m, k, n, false, false);
            product("dW A^T*B " + shape, n, k, m, true, false);
        }
        product("router A*B^T 4096x1x576", 4096, 1, 576, false, true);
        product("router dW A^T*B 4096x1x576", 1, 576, 4096, true, false);
        for (int m : new int[] {1, 2, 4, 8, 32}) {
            decoding("decoding A*B^T " + m + "x576x576 (one of 100)", m, 576, 576, 100);
            decoding("decoding A*B^T " + m + "x1536x576 (one of 40)", m, 1536, 576, 40);
            decoding("decoding A*B^T " + m + "x49152x576", m, 49152, 576, 1);
            decoding("decoding A*B^T " + m + "x352x128", m, 352, 128, 1);
        }
    }

    private void product(String name, int m, int n, int k, boolean transposeA, boolean transposeB) {
        if (!isWanted(name)) {
            return;
        }
        Tensor result = backend.allocate(m, n);
        Tensor a = transposeA ? random(k, m) : random(m, k);
        Tensor b = transposeB ? random(n, k) : random(k, n);
        time(
                name,
                true,
                2.0 * m * n * k,
                () -> {
                    backend.affine(
                            b, b, 1, 0,
                            false); // changed weights, as after an optimizer step: packing is part of the time
                    backend.matmul(result, a, transposeA, b, transposeB, false);
                },
                () -> backend.affine(b, b, 1, 0, false));
        release(result, a, b);
    }

    /** Products with different weights in turn, which stay packed but not in a cache; the rate is that of reading the weights. */
    private void decoding(String name, int m, int n, int k, int weights) {
        if (!isWanted(name)) {
            return;
        }
        Tensor result = backend.allocate(m, n);
        Tensor a = random(m, k);
        Tensor[] all = new Tensor[weights];
        Arrays.setAll(all, i -> random(n, k));
        int[] next = {0};
        time(
                name,
                false,
                4.0 * n * k,
                () -> backend.matmul(result, a, false, all[next[0]++ % weights], true, false),
                () -> {});
        release(all);
        release(result, a);
    }

    private void attention() {
        attention("1 sequence of 1024, 9 heads (3 kv) of 64", 1, 1024, new AttentionShape(9, 3, 64));
        attention("8 sequences of 512, 9 heads (3 kv) of 64", 8, 512, new AttentionShape(9, 3, 64));
        attention("12 sequences of 64, 4 heads of 32", 12, 64, new AttentionShape(4, 4, 32));
        attention("16 sequences of 256, 4 heads of 32", 16, 256, new AttentionShape(4, 4, 32));
        attentionDecoding(1, 1024, new AttentionShape(9, 3, 64));
        attentionDecoding(32, 512, new AttentionShape(9, 3, 64));
    }

    private void attention(String shapeName, int sequences, int length, AttentionShape shape) {
        int rows = sequences * length;
        int[] first = new int[rows];
        int[] last = new int[rows];
        for (int i = 0; i < rows; i++) {
            first[i] = i / length * length;
            last[i] = i + 1;
        }
        AttentionRanges ranges = new AttentionRanges(ints(first), ints(last), Optional.empty(), length);
        Tensor q = random(rows, shape.queryWidth());
        Tensor k = random(rows, shape.kvWidth());
        Tensor v = random(rows, shape.kvWidth());
        Tensor y = backend.allocate(rows, shape.queryWidth());
        Tensor statistics = backend.allocate(rows, shape.heads());
        double pairs = (double) sequences * length * (length + 1) / 2 * shape.heads();
        time(
                "attention " + shapeName,
                true,
                pairs * 4 * shape.headDim(),
                () -> backend.attention(y, statistics, q, k, v, ranges, shape),
                () -> {});
        Tensor dy = random(rows, shape.queryWidth());
        Tensor dq = backend.allocate(rows, shape.queryWidth());
        Tensor dk = random(rows, shape.kvWidth());
        Tensor dv = random(rows, shape.kvWidth());
        time(
                "attention backward " + shapeName,
                true,
                pairs * 10 * shape.headDim(),
                () -> backend.attentionBackward(dq, dk, dv, q, k, v, y, statistics, dy, ranges, shape),
                () -> {});
        release(q, k, v, y, statistics, dy, dq, dk, dv);
    }

    /** One query row a sequence, keys and values through a table in which neighbouring entries are neighbouring rows. */
    private void attentionDecoding(int sequences, int length, AttentionShape shape) {
        int[] first = new int[sequences];
        int[] last = new int[sequences];
        int[] table = new int[sequences * length];
        for (int i = 0; i < sequences; i++) {
            first[i] = i * length;
            last[i] = (i + 1) * length;
        }
        Arrays.setAll(table, i -> i);
        AttentionRanges ranges = new AttentionRanges(ints(first), ints(last), Optional.of(ints(table)), length);
        Tensor q = random(sequences, shape.queryWidth());
        Tensor k = random(sequences * length, shape.kvWidth());
        Tensor v = random(sequences * length, shape.kvWidth());
        Tensor y = backend.allocate(sequences, shape.queryWidth());
        Tensor statistics = backend.allocate(sequences, shape.heads());
        time(
                "attention decoding " + sequences + " sequences of " + length,
                false,
                8.0 * sequences * length * shape.kvWidth(),
                () -> backend.attention(y, statistics, q, k, v, ranges, shape),
                () -> {});
        release(q, k, v, y, statistics);
    }

    private void elementwise() {
        int rows = 4096;
        int width = 1536;
        double bytes = 4.0 * rows * width;
        Tensor a = random(rows, width);
        Tensor b = random(rows, width);
        Tensor c = random(rows, width);
        Tensor d = random(rows, width);
        Tensor e = random(rows, width);
        time("add 4096x1536", false, 3 * bytes, () -> backend.add(c, a, b, 1), () -> {});
        time("swiGlu 4096x1536", false, 3 * bytes, () -> backend.swiGlu(c, a, b), () -> {});
        time("swiGluBackward 4096x1536", false, 5 * bytes, () -> backend.swiGluBackward(c, d, a, b, e), () -> {});
        time("softmax 4096x1536", false, 2 * bytes, () -> backend.softmax(c, a), () -> {});
        Tensor scale = random(1, 1);
        AdamWStep step = new AdamWStep(1e-4, 0.9, 0.95, 1e-8, 0.1, 3);
        backend.fill(d, 0.5);
        time("adamW 6.3 M", false, 7 * bytes, () -> backend.adamW(a, b, c, d, scale, step), () -> {});
        time("sumOfSquares 6.3 M", false, bytes, () -> backend.sumOfSquares(scale, b, false), () -> {});
        release(a, b, c, d, e, scale);
    }

    private void rows() {
        int rows = 4096;
        int width = 576;
        double bytes = 4.0 * rows * width;
        Tensor x = random(rows, width);
        Tensor y = random(rows, width);
        Tensor z = random(rows, width);
        Tensor weight = random(1, width);
        Tensor dweight = random(1, width);
        Tensor column = random(rows, 1);
        int[] places = new int[rows];
        Arrays.setAll(places, i -> i % 512);
        IntTensor index = ints(places);
        time(
                "rmsNorm 4096x576",
                false,
                2 * bytes,
                () -> backend.rmsNorm(y, column, x, weight, Optional.empty(), 1e-5),
                () -> {});
        time(
                "rmsNormBackward 4096x576",
                false,
                3 * bytes,
                () -> backend.rmsNormBackward(z, dweight, x, column, weight, Optional.empty(), y, false),
                () -> {});
        time("rope 4096x576", false, 2 * bytes, () -> backend.rope(y, x, index, 64, 10_000, false), () -> {});
        time("columnSum 4096x576", false, bytes, () -> backend.columnSum(dweight, x, 1, false), () -> {});
        time("gatherRows 4096x576", false, 2 * bytes, () -> backend.gatherRows(y, x, index, false), () -> {});
        time("scatterAddRows 4096x576", false, 3 * bytes, () -> backend.scatterAddRows(y, index, x), () -> {});
        release(x, y, z, weight, dweight, column);
        int batch = 512;
        int vocabulary = 49152;
        Tensor logits = random(batch, vocabulary);
        Tensor dlogits = backend.allocate(batch, vocabulary);
        Tensor loss = random(batch, 1);
        IntTensor target = ints(Arrays.copyOf(places, batch));
        double logitBytes = 4.0 * batch * vocabulary;
        time("crossEntropy 512x49152", false, logitBytes, () -> backend.crossEntropy(loss, logits, target), () -> {});
        time(
                "crossEntropyBackward 512x49152",
                false,
                2 * logitBytes,
                () -> backend.crossEntropyBackward(dlogits, logits, target, loss),
                () -> {});
        IntTensor best = backend.allocateInts(batch);
        time("argMax 512x49152", false, logitBytes, () -> backend.argMax(best, logits), () -> {});
        release(logits, dlogits, loss);
    }

    // ---- measuring

    private boolean isWanted(String name) {
        return names.matcher(name).find();
    }

    /**
     * Times a kernel.
     *
     * @param work operations or bytes of a call
     * @param overhead what {@code kernel} does besides; its time is taken off
     */
    private void time(String name, boolean flops, double work, Runnable kernel, Runnable overhead) {
        if (!isWanted(name)) {
            return;
        }
        samples(kernel, seconds * 0.7); // the compiler's time
        double[] spare = samples(overhead, seconds * 0.05);
        double[] nanos = samples(kernel, seconds);
        double median = work / (nanos[nanos.length / 2] - spare[spare.length / 2]);
        double best = work / (nanos[0] - spare[0]);
        double limit = flops ? limits.gigaflops() : Math.max(limits.copyBandwidth(), limits.readBandwidth());
        out.printf(
                Locale.ROOT,
                "%-46s %9.1f %9.1f %7.0f%%  %s%n",
                name,
                median,
                best,
                100 * best / limit,
                flops ? "GFLOP/s" : "GB/s");
        json.add(String.format(Locale.ROOT, "\"%s\":[%.2f,%.2f]", name, median, best));
    }

    /** Ascending nanoseconds a call; a sample is so many calls that it takes about 3 ms. */
    private double[] samples(Runnable kernel, double seconds) {
        int calls = 1;
        double once = nanos(kernel, 1);
        while (once * calls < 2e6 && calls < 1 << 20) {
            calls *= 2;
            once = nanos(kernel, calls);
        }
        List<Double> samples = new ArrayList<>();
        long end = System.nanoTime() + (long) (seconds * 1e9);
        do {
            samples.add(nanos(kernel, calls));
        } while (System.nanoTime() < end);
        return samples.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    }

    private double nanos(Runnable kernel, int calls) {
        long start = now();
        for (int i = 0; i < calls; i++) {
            kernel.run();
        }
        return (double) (now() - start) / calls;
    }

    /** With one thread its processor time, which other programs disturb less; else the time on the wall. */
    private long now() {
        return oneThread ? PROCESSOR.getCurrentThreadCpuTime() : System.nanoTime();
    }

    // ---- operands

    private Tensor random(int rows, int columns) {
        Tensor tensor = backend.allocate(rows, columns);
        backend.uniform(tensor, RandomKey.of(1, "benchmark", 0));
        return tensor;
    }

    private IntTensor ints(int[] values) {
        IntTensor tensor = backend.allocateInts(values.length);
        backend.write(tensor, values);
        return tensor;
    }

    private void release(Tensor... tensors) {
        for (Tensor tensor : tensors) {
            backend.release(tensor);
        }
    }
}
