package io.mor.backend.reference;

import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Unary;

/** The element-wise functions and their derivatives. */
final class Functions {

    private static final double ROOT_OF_PI = Math.sqrt(Math.PI);

    private Functions() {}

    static double value(Unary function, double x) {
        return switch (function) {
            case SIGMOID -> sigmoid(x);
            case TANH -> StrictMath.tanh(x);
            case SILU -> x * sigmoid(x);
            case GELU -> x * normalBelow(x);
            case EXP -> StrictMath.exp(x);
            case LOG -> StrictMath.log(x);
            case SQUARE -> x * x;
            case SQRT -> Math.sqrt(x);
            case RECIPROCAL -> 1 / x;
            case SOFTPLUS -> Math.max(x, 0) + StrictMath.log1p(StrictMath.exp(-Math.abs(x)));
        };
    }

    /** The derivative at x, where the function has the value y. */
    static double derivative(Unary function, double x, double y) {
        return switch (function) {
            case SIGMOID -> y * (1 - y);
            case TANH -> 1 - y * y;
            case SILU -> sigmoid(x) * (1 + x * (1 - sigmoid(x)));
            case GELU -> normalBelow(x) + x * StrictMath.exp(-x * x / 2) / (ROOT_OF_PI * Math.sqrt(2));
            case EXP -> y;
            case LOG -> 1 / x;
            case SQUARE -> 2 * x;
            case SQRT -> 0.5 / y;
            case RECIPROCAL -> -y * y;
            case SOFTPLUS -> sigmoid(x);
        };
    }

    static boolean holds(double a, Comparison comparison, double b) {
        return switch (comparison) {
            case GREATER -> a > b;
            case AT_LEAST -> a >= b;
            case EQUAL -> a == b;
            case LESS -> a < b;
        };
    }

    /** Whether a ranks above b, where NaN ranks below every number. */
    static boolean ranksAbove(double a, double b) {
        return a > b || (Double.isNaN(b) && !Double.isNaN(a));
    }

    private static double sigmoid(double x) {
        return 1 / (1 + StrictMath.exp(-x));
    }

    /** The normal distribution's probability below x: {@code (1 + erf(x / sqrt 2)) / 2}. */
    private static double normalBelow(double x) {
        double z = Math.abs(x) / Math.sqrt(2);
        double tail = complementaryError(z) / 2; // the probability above |x|
        return x < 0 ? tail : 1 - tail;
    }

    /** {@code erfc(z)} for z at least 0. */
    private static double complementaryError(double z) {
        double gauss = StrictMath.exp(-z * z) / ROOT_OF_PI;
        if (z < 2) {
            double term = z; // erf(z) = 2 exp(-z^2) / sqrt(pi) * sum of 2^n z^(2n+1) / (2n+1)!!: no cancellation
            double sum = z;
            for (int n = 1; term > sum * 1e-18; n++) {
                term *= 2 * z * z / (2 * n + 1);
                sum += term;
            }
            return 1 - 2 * gauss * sum;
        }
        double fraction = z; // z + (1/2) / (z + (2/2) / (z + (3/2) / ...
        for (int n = 100; n >= 1; n--) {
            fraction = z + 0.5 * n / fraction;
        }
        return gauss / fraction;
    }
}
