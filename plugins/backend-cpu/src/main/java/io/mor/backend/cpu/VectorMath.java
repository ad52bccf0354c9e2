package io.mor.backend.cpu;

import static io.mor.backend.cpu.Vectors.SPECIES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Functions of all lanes by polynomials, within 2 units in the last place of the true value (exp, tanh, erf) where that is a normal number.
 * Results below the smallest normal number are 0; NaN gives NaN. Every lane is computed alike, so a value's result does not depend on its
 * place.
 */
final class VectorMath {

    private static final float LOG2_E = 1.44269504f;
    private static final float LN_2_HIGH = 0.693359375f; // 9 bits: n * LN_2_HIGH is exact
    private static final float LN_2_LOW = -2.12194440e-4f;
    private static final float ROUNDER = 0x1.8p23f; // adding and subtracting it rounds to a whole number
    private static final float LARGEST_EXPONENT = 88.72283f; // the largest float whose exp is finite
    private static final float SMALLEST_EXPONENT = -87.33654f; // exp of less is below the normal numbers
    private static final float ROOT_HALF = 0.70710678f;
    private static final float ROOT_HALF_OF_INVERSE_PI = 0.39894228f; // 1 / sqrt(2 pi)

    private VectorMath() {}

    static FloatVector exp(FloatVector x) {
        FloatVector rounded = x.mul(LOG2_E).add(ROUNDER);
        FloatVector n = rounded.sub(ROUNDER);
        FloatVector r = n.fma(FloatVector.broadcast(SPECIES, -LN_2_HIGH), x);
        r = n.fma(FloatVector.broadcast(SPECIES, -LN_2_LOW), r); // |r| <= ln(2)/2
        FloatVector p = r.fma(
                FloatVector.broadcast(SPECIES, 1.9875691500e-4f), FloatVector.broadcast(SPECIES, 1.3981999507e-3f));
        p = p.fma(r, FloatVector.broadcast(SPECIES, 8.3334519073e-3f));
        p = p.fma(r, FloatVector.broadcast(SPECIES, 4.1665795894e-2f));
        p = p.fma(r, FloatVector.broadcast(SPECIES, 1.6666665459e-1f));
        p = p.fma(r, FloatVector.broadcast(SPECIES, 5.0000001201e-1f));
        p = p.fma(r.mul(r), r).add(1f);
        IntVector exponent =
                rounded.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23); // the low bits of rounded are n
        FloatVector result = p.reinterpretAsInts().add(exponent).reinterpretAsFloats();
        result = result.blend(0f, x.compare(VectorOperators.LT, SMALLEST_EXPONENT));
        result = result.blend(Float.POSITIVE_INFINITY, x.compare(VectorOperators.GT, LARGEST_EXPONENT));
        return result.blend(x, x.test(VectorOperators.IS_NAN));
    }

    static FloatVector sigmoid(FloatVector x) {
        return FloatVector.broadcast(SPECIES, 1f).div(exp(x.neg()).add(1f));
    }

    static FloatVector silu(FloatVector x) {
        return x.mul(sigmoid(x));
    }

    static FloatVector tanh(FloatVector x) {
        FloatVector size = x.abs();
        // near 0: x + x^3 p(x^2); elsewhere 1 - 2 / (exp(2|x|) + 1), whose cancellation costs nothing there
        FloatVector square = x.mul(x);
        FloatVector p = square.fma(
                FloatVector.broadcast(SPECIES, -5.70498872745e-3f), FloatVector.broadcast(SPECIES, 2.06390887954e-2f));
        p = p.fma(square, FloatVector.broadcast(SPECIES, -5.37397155531e-2f));
        p = p.fma(square, FloatVector.broadcast(SPECIES, 1.33314422036e-1f));
        p = p.fma(square, FloatVector.broadcast(SPECIES, -3.33332819422e-1f));
        FloatVector near = p.mul(square).fma(x, x);
        FloatVector one = FloatVector.broadcast(SPECIES, 1f);
        FloatVector far = one.sub(
                FloatVector.broadcast(SPECIES, 2f).div(exp(size.add(size)).add(1f)));
        far = copySign(far, x);
        return far.blend(near, size.compare(VectorOperators.LT, 0.625f));
    }

    static FloatVector erf(FloatVector x) {
        FloatVector size = x.abs();
        FloatVector square = x.mul(x);
        FloatVector p = size.fma(
                FloatVector.broadcast(SPECIES, -1.72853470e-5f), FloatVector.broadcast(SPECIES, 3.83197126e-4f));
        FloatVector q = size.fma(
                FloatVector.broadcast(SPECIES, -3.88396438e-3f), FloatVector.broadcast(SPECIES, 2.42546219e-2f));
        p = p.fma(square, q);
        p = p.fma(size, FloatVector.broadcast(SPECIES, -1.06777877e-1f));
        p = p.fma(size, FloatVector.broadcast(SPECIES, -6.34846687e-1f));
        p = p.fma(size, FloatVector.broadcast(SPECIES, -1.28717512e-1f));
        p = p.fma(size, size.neg());
        FloatVector far = FloatVector.broadcast(SPECIES, 1f).sub(exp(p));
        far = far.blend(
                1f, size.compare(VectorOperators.GT, 4f)); // erf(4) rounds to 1, and the polynomial leaves its range
        far = copySign(far, x);
        FloatVector near = square.fma(
                FloatVector.broadcast(SPECIES, -5.96761703e-4f), FloatVector.broadcast(SPECIES, 4.99119423e-3f));
        near = near.fma(square, FloatVector.broadcast(SPECIES, -2.67681349e-2f));
        near = near.fma(square, FloatVector.broadcast(SPECIES, 1.12819925e-1f));
        near = near.fma(square, FloatVector.broadcast(SPECIES, -3.76125336e-1f));
        near = near.fma(square, FloatVector.broadcast(SPECIES, 1.28379166e-1f));
        near = near.fma(x, x);
        VectorMask<Float> isNear = size.compare(VectorOperators.LE, 0.927734375f);
        return far.blend(near, isNear).blend(x, x.test(VectorOperators.IS_NAN));
    }

    /** The normal distribution's probability below x. */
    static FloatVector normalBelow(FloatVector x) {
        return erf(x.mul(ROOT_HALF)).mul(0.5f).add(0.5f);
    }

    static FloatVector gelu(FloatVector x) {
        return x.mul(normalBelow(x));
    }

    static FloatVector geluDerivative(FloatVector x) {
        FloatVector density = exp(x.mul(x).mul(-0.5f)).mul(ROOT_HALF_OF_INVERSE_PI);
        return x.fma(density, normalBelow(x));
    }

    private static FloatVector copySign(FloatVector size, FloatVector sign) {
        IntVector bits = sign.reinterpretAsInts().and(0x80000000);
        return size.reinterpretAsInts().and(0x7fffffff).or(bits).reinterpretAsFloats();
    }
}
