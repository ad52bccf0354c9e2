package io.mor.testkit;

/** Arithmetic for closed forms: plain loops over doubles, nothing of a backend. */
public final class Formulas {

    private Formulas() {}

    /**
     * A matrix times a row.
     *
     * @param weights {@code [outputs, row.length]}, one row after the other
     * @return {@code [outputs]}
     */
    public static double[] linear(double[] weights, double[] row) {
        double[] out = new double[weights.length / row.length];
        for (int i = 0; i < weights.length; i++) {
            out[i / row.length] += weights[i] * row[i % row.length];
        }
        return out;
    }

    /** {@code 1 / (1 + exp(-x))}. */
    public static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    /** {@code x} times the normal distribution's function of {@code x}: the exact form, not that with tanh. */
    public static double gelu(double x) {
        return x * normal(x);
    }

    /** The normal distribution's function, by a series without cancellation; it is 0 or 1 to the last bit beyond 9. */
    private static double normal(double x) {
        if (Math.abs(x) > 9) {
            return x > 0 ? 1 : 0;
        }
        double term = x;
        double sum = x;
        for (int odd = 3; Math.abs(term) > 1e-18 * Math.abs(sum); odd += 2) {
            term *= x * x / odd;
            sum += term;
        }
        return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    }

    /** Binary cross-entropy of a logit, in nats. */
    public static double crossEntropy(double logit, boolean target) {
        return Math.log1p(Math.exp(target ? -logit : logit));
    }

    /** The logarithm of the sum of the exponentials. */
    public static double logSumExp(double[] values) {
        double sum = 0;
        for (double value : values) {
            sum += Math.exp(value);
        }
        return Math.log(sum);
    }
}
