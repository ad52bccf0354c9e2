package io.mor.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Matrix products of sizes beside and beyond those of tiles, panels and runs, against double precision. */
final class MatrixProductTest {

    private static final int[][] SIZES = { // m, n, k
        {1, 1, 1},
        {1, 33, 7},
        {2, 1, 67},
        {3, 3, 64},
        {5, 31, 385},
        {7, 32, 384},
        {11, 64, 383},
        {12, 96, 13},
        {13, 97, 769},
        {23, 5, 129},
        {37, 67, 101},
        {100, 128, 33},
        {129, 200, 400},
        {0, 5, 5},
        {5, 5, 0},
        {50, 576, 576}
    };

    private final Random random = new Random(42);

    @Test
    void everyTranspositionIsTheProduct() {
        try (CpuBackend backend = new CpuBackend(new CpuConfig(2))) {
            for (int[] size : SIZES) {
                for (int mode = 0; mode < 8; mode++) {
                    check(backend, size[0], size[1], size[2], (mode & 1) != 0, (mode & 2) != 0, (mode & 4) != 0);
                }
            }
        }
    }

    private void check(
            CpuBackend backend, int m, int n, int k, boolean transposeA, boolean transposeB, boolean accumulate) {
        if (m == 0 && transposeA || k == 0 && (!transposeA || transposeB)) {
            return; // a tensor has at least one column
        }
        float[] a = numbers(m * k);
        float[] b = numbers(k * n);
        float[] before = numbers(m * n);
        Tensor out = tensor(backend, m, n, before);
        Tensor left = transposeA ? tensor(backend, k, m, a) : tensor(backend, m, k, a);
        Tensor right = transposeB ? tensor(backend, n, k, b) : tensor(backend, k, n, b);
        backend.matmul(out, left, transposeA, right, transposeB, accumulate);
        float[] found = backend.readFloats(out);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double expected = accumulate ? before[i * n + j] : 0;
                for (int l = 0; l < k; l++) {
                    expected += (double) (transposeA ? a[l * m + i] : a[i * k + l])
                            * (transposeB ? b[j * k + l] : b[l * n + j]);
                }
                String place = m + "x" + n + "x" + k + (transposeA ? " A^T" : "") + (transposeB ? " B^T" : "") + " at "
                        + i + ", " + j;
                assertEquals(
                        expected,
                        found[i * n + j],
                        2e-6 * Math.sqrt(k + 1),
                        place); // random signs: errors grow with the root
            }
        }
        backend.release(out);
        backend.release(left);
        backend.release(right);
    }

    @Test
    void aRowAloneHasTheBitsItHasAmongOthers() {
        try (CpuBackend backend = new CpuBackend(new CpuConfig(2))) {
            for (boolean transposeB : new boolean[] {false, true}) {
                for (int[] size :
                        new int[][] {{50, 97, 769}, {37, 3, 300}, {64, 1, 576}, {29, 20, 40}, {25, 576, 576}}) {
                    int m = size[0];
                    int n = size[1];
                    int k = size[2];
                    Tensor x = tensor(backend, m, k, numbers(m * k));
                    Tensor weight =
                            transposeB ? tensor(backend, n, k, numbers(n * k)) : tensor(backend, k, n, numbers(n * k));
                    Tensor all = backend.allocate(m, n);
                    backend.matmul(all, x, false, weight, transposeB, false);
                    float[] expected = backend.readFloats(all);
                    for (int rows : new int[] {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 24}) {
                        for (int first = 0; first + rows <= m; first += Math.max(rows, 5)) {
                            Tensor out = backend.allocate(rows, n);
                            backend.matmul(
                                    out,
                                    backend.view(x, first, Extent.exact(rows), k),
                                    false,
                                    weight,
                                    transposeB,
                                    false);
                            assertArrayEquals(
                                    Arrays.copyOfRange(expected, first * n, (first + rows) * n),
                                    backend.readFloats(out),
                                    rows + " rows from " + first + " of " + Arrays.toString(size)
                                            + (transposeB ? " B^T" : ""));
                            backend.release(out);
                        }
                    }
                }
            }
        }
    }

    @Test
    void aChangedWeightIsPackedAgain() {
        try (CpuBackend backend = new CpuBackend(new CpuConfig(2))) {
            int n = 70;
            int k = 50;
            Tensor x = tensor(backend, 20, k, numbers(20 * k));
            Tensor base = tensor(backend, n + 10, k, numbers((n + 10) * k));
            Tensor weight = backend.view(base, 10, Extent.exact(n), k);
            Tensor out = backend.allocate(20, n);
            for (int change = 0; change < 4; change++) {
                for (int use = 0; use < 3; use++) {
                    backend.matmul(out, x, false, weight, true, false);
                }
                Tensor fresh = tensor(backend, n, k, backend.readFloats(weight));
                Tensor expected = backend.allocate(20, n);
                backend.matmul(expected, x, false, fresh, true, false);
                assertArrayEquals(
                        backend.readFloats(expected), backend.readFloats(out), "after " + change + " changes");
                backend.affine(
                        backend.view(base, 9, Extent.exact(n), k),
                        backend.view(base, 9, Extent.exact(n), k),
                        -1.5,
                        0.25,
                        false);
            }
        }
    }

    @Test
    void theNumberOfThreadsDoesNotChangeABit() {
        int m = 300;
        int n = 150;
        int k = 500;
        float[] a = numbers(m * k);
        float[] b = numbers(n * k);
        float[] c = numbers(m * n);
        float[][] first = null;
        for (int threads : new int[] {1, 2, 3, 5}) {
            try (CpuBackend backend = new CpuBackend(new CpuConfig(threads))) {
                Tensor x = tensor(backend, m, k, a);
                Tensor weight = tensor(backend, n, k, b);
                Tensor y = tensor(backend, m, n, c);
                Tensor forward = backend.allocate(m, n);
                backend.matmul(forward, x, false, weight, true, false);
                Tensor dx = backend.allocate(m, k);
                backend.matmul(dx, y, false, weight, false, false);
                Tensor dweight = backend.allocate(n, k);
                backend.matmul(dweight, y, true, x, false, false);
                float[][] found = {backend.readFloats(forward), backend.readFloats(dx), backend.readFloats(dweight)};
                first = first == null ? found : first;
                for (int i = 0; i < found.length; i++) {
                    assertArrayEquals(first[i], found[i], threads + " threads, product " + i);
                }
            }
        }
    }

    private float[] numbers(int n) {
        float[] numbers = new float[n];
        for (int i = 0; i < n; i++) {
            numbers[i] = random.nextFloat() * 2 - 1;
        }
        return numbers;
    }

    private static Tensor tensor(CpuBackend backend, int rows, int columns, float[] values) {
        Tensor tensor = backend.allocate(rows, columns);
        backend.write(tensor, values);
        return tensor;
    }
}
