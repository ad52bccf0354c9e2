package io.mor.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Kernels that reduce over rows or share out their work, at sizes that are split: the same bits for any number of threads. */
final class ThreadCountTest {

    private static final int ROWS = 1500;
    private static final int COLUMNS = 77;

    @Test
    void reductionsOverRowsHaveTheSameBitsForAnyNumberOfThreads() {
        List<float[]> first = null;
        for (int threads : new int[] {1, 2, 3, 7}) {
            try (CpuBackend backend = new CpuBackend(new CpuConfig(threads))) {
                List<float[]> found = results(backend);
                first = first == null ? found : first;
                for (int i = 0; i < found.size(); i++) {
                    assertArrayEquals(first.get(i), found.get(i), threads + " threads, result " + i);
                }
            }
        }
    }

    private static List<float[]> results(CpuBackend backend) {
        List<float[]> results = new ArrayList<>();
        Tensor x = numbers(backend, ROWS, "x");
        Tensor y = numbers(backend, ROWS, "y");
        Tensor weight = numbers(backend, 3, "weight");
        Tensor row = numbers(backend, 1, "row");
        Tensor scalar = backend.allocate(1, 1);
        Tensor rstd = backend.allocate(ROWS, 1);
        Tensor out = backend.allocate(ROWS, COLUMNS);
        IntTensor third = backend.allocateInts(ROWS);
        backend.write(third, IntStream.range(0, ROWS).map(i -> i * 7 % 3).toArray());

        backend.columnSum(row, x, 0.5, true);
        results.add(backend.readFloats(row));
        backend.columnDot(row, x, y, 2, false);
        results.add(backend.readFloats(row));
        backend.sumOfSquares(scalar, x, false);
        results.add(backend.readFloats(scalar));
        for (Optional<IntTensor> variant : List.of(Optional.<IntTensor>empty(), Optional.of(third))) {
            backend.rmsNorm(out, rstd, x, weight, variant, 1e-5);
            results.add(backend.readFloats(out));
            Tensor dweight = numbers(backend, 3, "dweight");
            backend.rmsNormBackward(out, dweight, x, rstd, weight, variant, y, false);
            results.add(backend.readFloats(out));
            results.add(backend.readFloats(dweight));
        }
        Tensor sums = numbers(backend, 3, "sums");
        backend.scatterAddRows(sums, third, x);
        results.add(backend.readFloats(sums));
        backend.softmax(out, x);
        results.add(backend.readFloats(out));
        return results;
    }

    private static Tensor numbers(CpuBackend backend, int rows, String name) {
        Tensor tensor = backend.allocate(rows, COLUMNS);
        backend.uniform(tensor, RandomKey.of(3, name, 0));
        backend.affine(tensor, tensor, 2, -1, false);
        return tensor;
    }
}
