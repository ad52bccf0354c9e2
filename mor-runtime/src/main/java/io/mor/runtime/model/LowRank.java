package io.mor.runtime.model;

import io.mor.api.tensor.RandomKey;
import java.util.Arrays;

/**
 * The best approximation of a matrix by a product of low rank: its truncated singular value decomposition, found by subspace iteration (Halko,
 * Martinsson and Tropp, 2011) until the share that it explains stands still.
 *
 * @param left {@code U S}, {@code [rows, rank]}
 * @param right {@code V^T}, {@code [rank, columns]}
 */
record LowRank(double[] left, double[] right) {

    private static final int OVERSAMPLING = 8;
    private static final int MOST_ITERATIONS = 300;

    /** The approximation of {@code matrix [rows, columns]}; where it has less rank, the rest is zero. */
    static LowRank of(double[] matrix, int rows, int columns, int rank) {
        int width = Math.min(Math.min(rows, columns), rank + OVERSAMPLING);
        double[] basis = new double[columns * width]; // [columns, width], orthonormal columns
        RandomKey key = RandomKey.of(1, "subspace", 0);
        for (int i = 0; i < basis.length; i++) {
            basis[i] = key.normal(0, i);
        }
        orthonormalize(basis, columns, width);
        double explained = -1;
        double[] image = multiply(matrix, rows, columns, basis, width);
        for (int iteration = 0; iteration < MOST_ITERATIONS; iteration++) {
            double now = sumOfSquares(image);
            if (Math.abs(now - explained) <= 1e-14 * now) {
                break;
            }
            explained = now;
            orthonormalize(image, rows, width);
            basis = multiplyTransposed(matrix, rows, columns, image, width);
            orthonormalize(basis, columns, width);
            image = multiply(matrix, rows, columns, basis, width);
        }
        return rotated(image, basis, rows, columns, width, rank);
    }

    /** From any basis of the subspace to the singular vectors: the eigenvectors of {@code image^T image}. */
    private static LowRank rotated(double[] image, double[] basis, int rows, int columns, int width, int rank) {
        double[] gram = multiplyTransposed(image, rows, width, image, width);
        double[] vectors = eigenvectors(gram, width); // [width, width], columns, largest eigenvalue first
        double[] left = new double[rows * rank];
        double[] right = new double[rank * columns];
        double[] scaled = multiply(image, rows, width, vectors, width);
        double[] turned = multiply(basis, columns, width, vectors, width);
        for (int i = 0; i < Math.min(rank, width); i++) {
            for (int row = 0; row < rows; row++) {
                left[row * rank + i] = scaled[row * width + i];
            }
            for (int column = 0; column < columns; column++) {
                right[i * columns + column] = turned[column * width + i];
            }
        }
        return new LowRank(left, right);
    }

    private static double sumOfSquares(double[] values) {
        double sum = 0;
        for (double value : values) {
            sum += value * value;
        }
        return sum;
    }

    /** {@code a [rows, inner] @ b [inner, columns]}. */
    private static double[] multiply(double[] a, int rows, int inner, double[] b, int columns) {
        double[] out = new double[rows * columns];
        for (int i = 0; i < rows; i++) {
            for (int k = 0; k < inner; k++) {
                double factor = a[i * inner + k];
                for (int j = 0; j < columns; j++) {
                    out[i * columns + j] += factor * b[k * columns + j];
                }
            }
        }
        return out;
    }

    /** {@code a [inner, rows]^T @ b [inner, columns]}. */
    private static double[] multiplyTransposed(double[] a, int inner, int rows, double[] b, int columns) {
        double[] out = new double[rows * columns];
        for (int k = 0; k < inner; k++) {
            for (int i = 0; i < rows; i++) {
                double factor = a[k * rows + i];
                for (int j = 0; j < columns; j++) {
                    out[i * columns + j] += factor * b[k * columns + j];
                }
            }
        }
        return out;
    }

    /** Gram and Schmidt, twice, which is enough; columns that depend on those before become zero. */
    private static void orthonormalize(double[] columnsOf, int rows, int width) {
        for (int j = 0; j < width; j++) {
            double before = norm(columnsOf, rows, width, j);
            for (int pass = 0; pass < 2; pass++) {
                for (int i = 0; i < j; i++) {
                    double dot = 0;
                    for (int row = 0; row < rows; row++) {
                        dot += columnsOf[row * width + i] * columnsOf[row * width + j];
                    }
                    for (int row = 0; row < rows; row++) {
                        columnsOf[row * width + j] -= dot * columnsOf[row * width + i];
                    }
                }
            }
            double norm = norm(columnsOf, rows, width, j);
            double factor = norm > 1e-12 * before && norm > 0 ? 1 / norm : 0;
            for (int row = 0; row < rows; row++) {
                columnsOf[row * width + j] *= factor;
            }
        }
    }

    private static double norm(double[] columnsOf, int rows, int width, int column) {
        double squares = 0;
        for (int row = 0; row < rows; row++) {
            squares += columnsOf[row * width + column] * columnsOf[row * width + column];
        }
        return Math.sqrt(squares);
    }

    /** Eigenvectors of a symmetric matrix by Jacobi's rotations, as columns, largest eigenvalue first. */
    private static double[] eigenvectors(double[] symmetric, int n) {
        double[] a = symmetric.clone();
        double[] v = new double[n * n];
        for (int i = 0; i < n; i++) {
            v[i * n + i] = 1;
        }
        for (int sweep = 0; sweep < 60; sweep++) {
            double off = 0;
            for (int p = 0; p < n; p++) {
                for (int q = p + 1; q < n; q++) {
                    off += a[p * n + q] * a[p * n + q];
                    rotate(a, v, n, p, q);
                }
            }
            if (off <= 1e-30 * sumOfSquares(a)) {
                break;
            }
        }
        Integer[] order = new Integer[n];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, (i, j) -> Double.compare(a[j * n + j], a[i * n + i]));
        double[] sorted = new double[n * n];
        for (int j = 0; j < n; j++) {
            for (int i = 0; i < n; i++) {
                sorted[i * n + j] = v[i * n + order[j]];
            }
        }
        return sorted;
    }

    /** Makes {@code a[p, q]} zero. */
    private static void rotate(double[] a, double[] v, int n, int p, int q) {
        double apq = a[p * n + q];
        if (apq == 0) {
            return;
        }
        double theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
        double t = Math.copySign(1, theta) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        double c = 1 / Math.sqrt(t * t + 1);
        double s = t * c;
        for (int i = 0; i < n; i++) {
            double ip = a[i * n + p];
            double iq = a[i * n + q];
            a[i * n + p] = c * ip - s * iq;
            a[i * n + q] = s * ip + c * iq;
        }
        for (int i = 0; i < n; i++) {
            double pi = a[p * n + i];
            double qi = a[q * n + i];
            a[p * n + i] = c * pi - s * qi;
            a[q * n + i] = s * pi + c * qi;
            double vp = v[i * n + p];
            double vq = v[i * n + q];
            v[i * n + p] = c * vp - s * vq;
            v[i * n + q] = s * vp + c * vq;
        }
    }
}
