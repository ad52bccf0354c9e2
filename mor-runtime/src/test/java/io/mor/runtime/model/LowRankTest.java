package io.mor.runtime.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class LowRankTest {

    private static double[] product(LowRank factors, int rows, int rank, int columns) {
        double[] out = new double[rows * columns];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                for (int k = 0; k < rank; k++) {
                    out[i * columns + j] += factors.left()[i * rank + k] * factors.right()[k * columns + j];
                }
            }
        }
        return out;
    }

    @Test
    void aMatrixOfThatRankOrLessIsGivenBack() {
        for (int[] shape : new int[][] {{17, 11, 3}, {11, 17, 5}, {1, 7, 2}, {40, 40, 40}}) {
            Random random = new Random(shape[0]);
            LowRank made = new LowRank(
                    random.doubles((long) shape[0] * shape[2], -1, 1).toArray(),
                    random.doubles((long) shape[2] * shape[1], -1, 1).toArray());
            double[] matrix = product(made, shape[0], shape[2], shape[1]);
            LowRank found = LowRank.of(matrix, shape[0], shape[1], shape[2]);
            assertArrayEquals(matrix, product(found, shape[0], shape[2], shape[1]), 1e-9, Arrays.toString(shape));
        }
    }

    @Test
    void nothingOfTheSameRankIsCloserThanTheLargestSingularValues() {
        // A diagonal matrix between two rotations has its diagonal as singular values.
        int n = 30;
        double[] matrix = new double[n * n];
        for (int i = 0; i < n; i++) {
            matrix[i * n + i] = 30 - i;
        }
        Random random = new Random(4);
        for (int turn = 0; turn < 400; turn++) {
            turn(matrix, n, random.nextInt(n), random.nextInt(n), random.nextDouble(), random.nextBoolean());
        }
        double[] approximation = product(LowRank.of(matrix, n, n, 4), n, 4, n);
        double left = 0;
        for (int i = 0; i < matrix.length; i++) {
            left += (matrix[i] - approximation[i]) * (matrix[i] - approximation[i]);
        }
        double expected = 0;
        for (int i = 4; i < n; i++) {
            expected += (30.0 - i) * (30 - i);
        }
        assertEquals(expected, left, 1e-6 * expected);
    }

    private static void turn(double[] matrix, int n, int a, int b, double angle, boolean rows) {
        if (a == b) {
            return;
        }
        double c = Math.cos(angle);
        double s = Math.sin(angle);
        for (int i = 0; i < n; i++) {
            int at = rows ? a * n + i : i * n + a;
            int bt = rows ? b * n + i : i * n + b;
            double x = matrix[at];
            double y = matrix[bt];
            matrix[at] = c * x - s * y;
            matrix[bt] = s * x + c * y;
        }
    }

    @Test
    void zeroHasZeroFactors() {
        assertArrayEquals(new double[12], product(LowRank.of(new double[12], 3, 4, 2), 3, 2, 4));
    }
}
