package io.mor.bench.gpu;

import io.mor.api.backend.AdamWStep;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import io.mor.backend.cuda.CudaBackend;
import io.mor.backend.cuda.CudaConfig;
import io.mor.backend.cuda.CudaDoctor;
import io.mor.backend.cuda.CudaMode;
import io.mor.backend.cuda.CudaPrecision;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Times the kernels of the backend {@code cuda} on random numbers at the sizes of a SmolLM-360M step, beside the rates that this card reaches
 * in a plain copy and, by its own matrix products, in arithmetic. Medians of repeated calls; each line names the bytes or operations counted.
 */
public final class CudaTimings {

    private static final int REPEATS = 7;
    private static final int ROWS = 16 * 2048; // B = 16, T = 2048

    private final CudaBackend backend;

    private CudaTimings(CudaBackend backend) {
        this.backend = backend;
    }

    /** Prints the doctor's report and the table; the only argument, optional, is the folder for compiled kernels. */
    public static void main(String[] arguments) {
        CudaDoctor doctor = CudaDoctor.examine();
        doctor.lines().forEach(System.out::println);
        if (!doctor.usable()) {
            System.out.println("no timings: " + doctor.summary());
            System.exit(1);
        }
        String folder = arguments.length > 0 ? arguments[0] : "";
        for (CudaMode mode : CudaMode.values()) {
            long opening = System.nanoTime();
            try (CudaBackend backend = new CudaBackend(new CudaConfig(0, CudaPrecision.F32, mode, true, folder))) {
                System.out.printf(
                        Locale.ROOT,
                        "%n%s, opened in %d ms%n",
                        backend.description(),
                        (System.nanoTime() - opening) / 1_000_000);
                CudaTimings timings = new CudaTimings(backend);
                timings.memoryRates();
                timings.products();
                timings.layers();
                System.out.printf(Locale.ROOT, "peak %d MiB%n", backend.peakBytes() >> 20);
            }
        }
    }

    /** Work to time. */
    @FunctionalInterface
    private interface Work {
        void run();
    }

    private double seconds(Work work) {
        work.run();
        work.run();
        backend.synchronize();
        double[] samples = new double[REPEATS];
        for (int i = 0; i < REPEATS; i++) {
            int calls = 3;
            long start = System.nanoTime();
            for (int call = 0; call < calls; call++) {
                work.run();
            }
            backend.synchronize();
            samples[i] = (System.nanoTime() - start) / 1e9 / calls;
        }
        Arrays.sort(samples);
        return samples[REPEATS / 2];
    }

    private void bytes(String what, double bytes, Work work) {
        double seconds = seconds(work);
        System.out.printf(Locale.ROOT, "%-58s %9.3f ms %9.1f GB/s%n", what, seconds * 1e3, bytes / seconds / 1e9);
    }

    private void operations(String what, double operations, Work work) {
        double seconds = seconds(work);
        System.out.printf(
                Locale.ROOT, "%-58s %9.3f ms %9.2f TFLOP/s%n", what, seconds * 1e3, operations / seconds / 1e12);
    }

    private Tensor random(int rows, int columns) {
        Tensor tensor = backend.allocate(rows, columns);
        backend.uniform(tensor, RandomKey.of(1, rows + "x" + columns, 0));
        backend.affine(tensor, tensor, 2, -1, false);
        return tensor;
    }

    private IntTensor ints(IntStream values) {
        int[] all = values.toArray();
        IntTensor tensor = backend.allocateInts(all.length);
        backend.write(tensor, all);
        return tensor;
    }

    private void memoryRates() {
        Tensor x = random(ROWS, 2560);
        Tensor y = random(ROWS, 2560);
        Tensor out = random(ROWS, 2560);
        double size = 4.0 * ROWS * 2560;
        bytes("copy [32768, 2560]", 2 * size, () -> backend.copy(out, x));
        bytes("add [32768, 2560]", 3 * size, () -> backend.add(out, x, y, 1));
        bytes("swiglu [32768, 2560]", 3 * size, () -> backend.swiGlu(out, x, y));
        Tensor dy = random(ROWS, 2560);
        Tensor dx = random(ROWS, 2560);
        bytes("swiglu backward [32768, 2560]", 5 * size, () -> backend.swiGluBackward(out, dx, x, y, dy));
        for (Tensor tensor : new Tensor[] {x, y, out, dy, dx}) {
            backend.release(tensor);
        }
    }

    private void products() {
        product("product 4096 x 4096 x 4096, b transposed", 4096, 4096, 4096, false, true);
        product("product 32768 x 2560 x 960, b transposed (gate, up)", ROWS, 2560, 960, false, true);
        product("product 32768 x 960 x 2560, b transposed (down)", ROWS, 960, 2560, false, true);
        product("product 32768 x 960 x 2560 (input gradient)", ROWS, 960, 2560, false, false);
        product("product 2560 x 960 over 32768 rows (weight gradient)", 2560, 960, ROWS, true, false);
        product("product 960 x 960 over 32768 rows (weight gradient)", 960, 960, ROWS, true, false);
        product("product 32 x 960 x 960, b transposed (decoding)", 32, 960, 960, false, true);
    }

    private void product(String what, int m, int n, int inner, boolean transposeA, boolean transposeB) {
        Tensor a = transposeA ? random(inner, m) : random(m, inner);
        Tensor b = transposeB ? random(n, inner) : random(inner, n);
        Tensor out = backend.allocate(m, n);
        operations(what, 2.0 * m * n * inner, () -> backend.matmul(out, a, transposeA, b, transposeB, false));
        backend.release(a);
        backend.release(b);
        backend.release(out);
    }

    private void layers() {
        Tensor x = random(ROWS, 960);
        Tensor dx = random(ROWS, 960);
        Tensor out = random(ROWS, 960);
        Tensor weight = random(1, 960);
        Tensor dweight = random(1, 960);
        Tensor rstd = random(ROWS, 1);
        double size = 4.0 * ROWS * 960;
        bytes("rms norm [32768, 960]", 2 * size, () -> backend.rmsNorm(out, rstd, x, weight, Optional.empty(), 1e-5));
        bytes(
                "rms norm backward",
                5 * size,
                () -> backend.rmsNormBackward(dx, dweight, x, rstd, weight, Optional.empty(), out, false));
        IntTensor position = ints(IntStream.range(0, ROWS).map(i -> i % 2048));
        bytes("rope [32768, 15 x 64]", 2 * size, () -> backend.rope(out, x, position, 64, 1e4, false));
        IntTensor tokens = ints(IntStream.range(0, ROWS).map(i ->
                (int) (Math.abs(RandomKey.of(3, "tokens", 0).bits(0, i)) % 49152)));
        Tensor embedding = random(49152, 960);
        bytes("gather rows of the embedding", 2 * size, () -> backend.gatherRows(out, embedding, tokens, false));
        bytes(
                "scatter-add rows of the embedding, repeated",
                3 * size,
                () -> backend.scatterAddRows(embedding, tokens, x));
        attention(x, dx, out);
        Tensor logits = random(4096, 49152);
        Tensor dlogits = backend.allocate(4096, 49152);
        Tensor loss = random(4096, 1);
        IntTensor targets = backend.view(tokens, 0, 4096);
        bytes("cross-entropy [4096, 49152]", 4.0 * 4096 * 49152, () -> backend.crossEntropy(loss, logits, targets));
        bytes(
                "cross-entropy backward",
                8.0 * 4096 * 49152,
                () -> backend.crossEntropyBackward(dlogits, logits, targets, loss));
        Tensor moment = random(49152, 960);
        Tensor second = random(49152, 960);
        Tensor gradient = random(49152, 960);
        backend.fill(second, 1);
        AdamWStep step = new AdamWStep(1e-4, 0.9, 0.95, 1e-8, 0.1, 10);
        Tensor one = backend.allocate(1, 1);
        backend.fill(one, 1);
        bytes(
                "adamw [49152, 960]",
                7 * 4.0 * 49152 * 960,
                () -> backend.adamW(embedding, gradient, moment, second, one, step));
        bytes("sum of squares [49152, 960]", 4.0 * 49152 * 960, () -> backend.sumOfSquares(one, gradient, false));
        Tensor mask = random(ROWS, 1);
        IntTensor index = backend.allocateInts(ROWS);
        IntTensor count = backend.allocateInts(1);
        IntTensor offsets = ints(IntStream.rangeClosed(0, 16).map(i -> i * 2048));
        IntTensor k = ints(IntStream.range(0, 16).map(i -> 1024));
        Tensor chosen = backend.allocate(ROWS, 1);
        bytes("top 1024 of 2048 in 16 groups", 8.0 * ROWS, () -> backend.topKMask(chosen, mask, offsets, k));
        bytes("compact 32768 rows", 8.0 * ROWS, () -> backend.compact(index, count, chosen));
        Tensor small = random(1, 1);
        bytes("a launch: fill [1, 1]", 4, () -> backend.fill(small, 0));
    }

    private void attention(Tensor queries, Tensor dqueries, Tensor out) {
        AttentionShape shape = new AttentionShape(15, 5, 64);
        Tensor keys = random(ROWS, 320);
        Tensor values = random(ROWS, 320);
        Tensor dkeys = random(ROWS, 320);
        Tensor dvalues = random(ROWS, 320);
        Tensor statistics = random(ROWS, 15);
        IntTensor start = ints(IntStream.range(0, ROWS).map(i -> i / 2048 * 2048));
        IntTensor end = ints(IntStream.range(0, ROWS).map(i -> i + 1));
        AttentionRanges ranges = new AttentionRanges(start, end, Optional.empty(), 2048);
        double forward = 4.0 * 15 * 64 * 16 * (2048.0 * 2049 / 2);
        operations(
                "attention, 16 x 2048 causal, 15 heads of 64, 5 kv",
                forward,
                () -> backend.attention(out, statistics, queries, keys, values, ranges, shape));
        operations(
                "attention backward",
                2.5 * forward,
                () -> backend.attentionBackward(
                        dqueries, dkeys, dvalues, queries, keys, values, out, statistics, out, ranges, shape));
    }
}
