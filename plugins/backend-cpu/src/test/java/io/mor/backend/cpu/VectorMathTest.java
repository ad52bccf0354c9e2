package io.mor.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.function.DoubleUnaryOperator;
import java.util.function.UnaryOperator;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

/** The polynomials against double precision over their whole range, in units in the last place of the true value. */
final class VectorMathTest {

    private static final int POINTS = 200_000;

    @Test
    void expIsWithinTwoUnits() {
        assertTrue(worst(VectorMath::exp, Math::exp, -87.3, 88.7) < 2);
        assertTrue(worst(VectorMath::exp, Math::exp, -1, 1) < 2);
    }

    @Test
    void tanhIsWithinTwoUnits() {
        assertTrue(worst(VectorMath::tanh, Math::tanh, -12, 12) < 2);
        assertTrue(worst(VectorMath::tanh, Math::tanh, -1e-3, 1e-3) < 2);
    }

    @Test
    void erfIsWithinTwoUnits() {
        assertTrue(worst(VectorMath::erf, VectorMathTest::erf, -5, 5) < 2);
        assertTrue(worst(VectorMath::erf, VectorMathTest::erf, -1e-3, 1e-3) < 2);
    }

    @Test
    void sigmoidIsWithinThreeUnits() {
        assertTrue(worst(VectorMath::sigmoid, x -> 1 / (1 + Math.exp(-x)), -80, 80) < 3);
    }

    @Test
    void specialValuesAreThoseOfTheFunctions() {
        assertEquals(0f, at(VectorMath::exp, Float.NEGATIVE_INFINITY));
        assertEquals(0f, at(VectorMath::exp, -1e30f));
        assertEquals(Float.POSITIVE_INFINITY, at(VectorMath::exp, Float.POSITIVE_INFINITY));
        assertEquals(Float.POSITIVE_INFINITY, at(VectorMath::exp, 89f));
        assertEquals(1f, at(VectorMath::exp, 0f));
        assertEquals(1f, at(VectorMath::tanh, 1e30f));
        assertEquals(-1f, at(VectorMath::tanh, Float.NEGATIVE_INFINITY));
        assertEquals(1f, at(VectorMath::erf, 1e30f));
        assertEquals(-1f, at(VectorMath::erf, Float.NEGATIVE_INFINITY));
        assertEquals(0f, at(VectorMath::sigmoid, -1000f));
        assertEquals(1f, at(VectorMath::sigmoid, 1000f));
        assertTrue(Float.isNaN(at(VectorMath::exp, Float.NaN)));
        assertTrue(Float.isNaN(at(VectorMath::tanh, Float.NaN)));
        assertTrue(Float.isNaN(at(VectorMath::erf, Float.NaN)));
        assertTrue(Float.isNaN(at(VectorMath::sigmoid, Float.NaN)));
    }

    private static float at(UnaryOperator<FloatVector> function, float x) {
        return function.apply(FloatVector.broadcast(Vectors.SPECIES, x)).lane(0);
    }

    private static double worst(
            UnaryOperator<FloatVector> function, DoubleUnaryOperator exact, double from, double to) {
        double worst = 0;
        float[] x = new float[Vectors.LANES];
        for (int i = 0; i < POINTS; i += x.length) {
            for (int j = 0; j < x.length; j++) {
                x[j] = (float) (from + (to - from) * (i + j) / POINTS);
            }
            FloatVector y = function.apply(FloatVector.fromArray(Vectors.SPECIES, x, 0));
            for (int j = 0; j < x.length; j++) {
                double expected = exact.applyAsDouble(x[j]);
                worst = Math.max(
                        worst, Math.abs(y.lane(j) - expected) / Math.max(Float.MIN_NORMAL, Math.ulp((float) expected)));
            }
        }
        return worst;
    }

    /** By its series, which converges for all arguments tested here. */
    private static double erf(double x) {
        double term = x;
        double sum = x;
        for (int n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
            term *= 2 * x * x / (2 * n + 1);
            sum += term;
        }
        return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
    }
}
