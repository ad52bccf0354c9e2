package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.api.backend.Precision;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import io.mor.testkit.BackendContract;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Activations in bfloat16: the whole contract at the tolerances of that format. Needs a GPU and libcublasLt. */
@RequiresGpu
class CudaNarrowTest extends BackendContract {

    private static final long SEED = 5;

    /** Keeps the device's context, which every test would otherwise make anew. */
    private static CudaBackend keeper;

    @BeforeAll
    static void keepTheContext() {
        keeper = Gpu.open(CudaMode.INVARIANT);
    }

    @AfterAll
    static void letTheContextGo() {
        keeper.close();
    }

    @Override
    protected Backend createBackend() {
        return Gpu.open(CudaMode.FAST, CudaPrecision.BF16);
    }

    @Test
    void wideActivationsAreNarrowAndAllElseIsNot() {
        assertEquals(Precision.FLOAT32, backend().precision());
        assertEquals(Precision.FLOAT32, backend().activationPrecision(15));
        assertEquals(Precision.BFLOAT16, backend().activationPrecision(16));
        assertTrue(backend().description().contains("bf16"), backend().description());
    }

    @Test
    void aWeightThatWasWrittenIsMultipliedWithItsNewValues() {
        Tensor x = backend().allocate(32, 64, Precision.BFLOAT16);
        Tensor weight = backend().allocate(48, 64);
        Tensor out = backend().allocate(32, 48, Precision.BFLOAT16);
        backend().fill(x, 1);
        for (int value = 1; value <= 3; value++) {
            backend().fill(weight, value);
            backend().matmul(out, x, false, weight, true, false);
            assertEquals(64.0 * value, backend().readDoubles(out)[17]);
        }
    }

    @Test
    void theGradientOfANormOfManyRowsAddsToItsWeightsAsTheGeneralKernelDoes() {
        int rows = 5003;
        int columns = 960;
        Tensor[] narrow = normBackward(rows, columns, Precision.BFLOAT16);
        Tensor[] full = normBackward(rows, columns, Precision.FLOAT32);
        assertClose(full[0], narrow[0], 1e-2);
        assertClose(full[1], narrow[1], 1e-4);
    }

    private Tensor[] normBackward(int rows, int columns, Precision stored) {
        SplittableRandom random = new SplittableRandom(SEED);
        Tensor x = random(random, rows, columns, stored);
        Tensor dy = random(random, rows, columns, stored);
        Tensor weight = random(random, 1, columns, Precision.FLOAT32);
        Tensor rstd = backend().allocate(rows, 1);
        Tensor out = backend().allocate(rows, columns, stored);
        Tensor dx = backend().allocate(rows, columns, stored);
        Tensor dweight = backend().allocate(1, columns);
        backend().fill(dweight, 0.5);
        backend().fill(dx, 0.25);
        backend().rmsNorm(out, rstd, x, weight, Optional.empty(), 1e-5);
        backend().rmsNormBackward(dx, dweight, x, rstd, weight, Optional.empty(), dy, true);
        return new Tensor[] {dx, dweight};
    }

    @Test
    void theFastestProductsAreMeasuredOnceAndTakenAgain(@TempDir Path folder) throws IOException {
        CudaConfig config =
                new CudaConfig(0, CudaPrecision.BF16, CudaMode.FAST, true, CudaProducts.FASTEST, folder.toString());
        double[] before = largeProduct(config);
        List<Path> kept;
        try (Stream<Path> files = Files.list(folder)) {
            kept = files.filter(file -> file.getFileName().toString().startsWith("products-"))
                    .toList();
        }
        assertEquals(1, kept.size(), "files of what was measured");
        String measured = Files.readString(kept.getFirst());
        assertArrayEquals(before, largeProduct(config));
        assertEquals(measured, Files.readString(kept.getFirst()), "nothing is measured twice");
        assertTrue(measured.startsWith("1024x960x1024-bf16-"), measured);
    }

    private double[] largeProduct(CudaConfig config) {
        try (CudaBackend measuring = new CudaBackend(config)) {
            Tensor a = measuring.allocate(1024, 1024, Precision.BFLOAT16);
            Tensor b = measuring.allocate(960, 1024, Precision.BFLOAT16);
            Tensor out = measuring.allocate(1024, 960, Precision.BFLOAT16);
            for (Tensor factor : List.of(a, b)) {
                measuring.uniform(factor, RandomKey.of(SEED, "product", 0));
            }
            measuring.matmul(out, a, false, b, true, false);
            return measuring.readDoubles(out);
        }
    }

    @Test
    void gatedRowsAreAddedInPlace() {
        SplittableRandom random = new SplittableRandom(SEED);
        Tensor base = random(random, 101, 64, Precision.BFLOAT16);
        Tensor x = random(random, 33, 64, Precision.BFLOAT16);
        Tensor gate = random(random, 33, 1, Precision.FLOAT32);
        IntTensor index = backend().allocateInts(33);
        int[] places = new int[33];
        for (int i = 0; i < 33; i++) {
            places[i] = 3 * i + 1;
        }
        backend().write(index, places);
        double[] before = backend().readDoubles(base);
        double[] added = backend().readDoubles(x);
        double[] factors = backend().readDoubles(gate);
        backend().addToRows(base, base, index, x, Optional.of(gate));
        double[] after = backend().readDoubles(base);
        for (int row = 0; row < 101; row++) {
            int from = row % 3 == 1 && row / 3 < 33 ? row / 3 : -1;
            for (int column = 0; column < 64; column++) {
                int i = row * 64 + column;
                double expected = before[i] + (from < 0 ? 0 : factors[from] * added[from * 64 + column]);
                assertEquals(
                        expected,
                        after[i],
                        from < 0 ? 0 : 0x1p-8 * Math.max(1, Math.abs(expected)),
                        "row " + row + ", column " + column);
            }
        }
    }

    /** Values that bfloat16 has. */
    private Tensor random(SplittableRandom random, int rows, int columns, Precision stored) {
        double[] values = new double[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextInt(-128, 129) / 64.0;
        }
        Tensor tensor = backend().allocate(rows, columns, stored);
        backend().write(tensor, values);
        return tensor;
    }

    private void assertClose(Tensor expected, Tensor actual, double most) {
        double[] wanted = backend().readDoubles(expected);
        double[] found = backend().readDoubles(actual);
        double difference = 0;
        double size = 0;
        for (int i = 0; i < wanted.length; i++) {
            difference += (found[i] - wanted[i]) * (found[i] - wanted[i]);
            size += wanted[i] * wanted[i];
        }
        double relative = Math.sqrt(difference / size);
        assertTrue(relative <= most, "relative difference " + relative);
    }
}
