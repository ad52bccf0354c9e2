package io.mor.testkit;

import io.mor.api.tensor.Unary;

/** The element-wise functions written down a second time, and where to test them. */
final class UnaryModel {

    private UnaryModel() {}

    static double low(Unary function) {
        return switch (function) {
            case LOG, SQRT, RECIPROCAL -> 0.25;
            default -> -4;
        };
    }

    static double high(Unary function) {
        return 4;
    }

    static double value(Unary function, double x) {
        return switch (function) {
            case SIGMOID -> Math.exp(x) / (1 + Math.exp(x));
            case TANH -> Math.tanh(x);
            case SILU -> x * Math.exp(x) / (1 + Math.exp(x));
            case GELU -> x * (0.5 + normalIntegral(x));
            case EXP -> Math.exp(x);
            case LOG -> Math.log(x);
            case SQUARE -> x * x;
            case SQRT -> Math.sqrt(x);
            case RECIPROCAL -> 1 / x;
            case SOFTPLUS -> Math.log(1 + Math.exp(x));
        };
    }

    /** The normal density's integral from 0 to x by Gauss-Legendre over pieces: no series in common with a backend's. */
    private static double normalIntegral(double x) {
        double[] nodes = {
            0.1488743389816312, 0.4333953941292472, 0.6794095682990244, 0.8650633666889845, 0.9739065285171717
        };
        double[] weights = {
            0.2955242247147529, 0.2692667193099963, 0.2190863625159820, 0.1494513491505806, 0.0666713443086881
        };
        int pieces = 8;
        double half = x / pieces / 2;
        double sum = 0;
        for (int piece = 0; piece < pieces; piece++) {
            double middle = (2 * piece + 1) * half;
            for (int i = 0; i < nodes.length; i++) {
                sum += weights[i] * (density(middle + half * nodes[i]) + density(middle - half * nodes[i]));
            }
        }
        return sum * half;
    }

    private static double density(double t) {
        return Math.exp(-t * t / 2) / Math.sqrt(2 * Math.PI);
    }
}
