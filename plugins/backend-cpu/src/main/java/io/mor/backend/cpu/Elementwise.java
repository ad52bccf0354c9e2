package io.mor.backend.cpu;

import static io.mor.backend.cpu.Vectors.LANES;
import static io.mor.backend.cpu.Vectors.SPECIES;

import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.Unary;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Loops over {@code n} neighbouring elements of arrays from given offsets; the result may be an operand. The elements after the last whole
 * vector go through the same operations under a mask, so that an element's result does not depend on its place.
 *
 * <p>Sums return from two places: where a vector could come from either side of a branch, the compiler allocates it.
 */
final class Elementwise {

    private Elementwise() {}

    private static FloatVector load(float[] x, int at) {
        return FloatVector.fromArray(SPECIES, x, at);
    }

    private static FloatVector load(float[] x, int at, VectorMask<Float> mask) {
        return FloatVector.fromArray(SPECIES, x, at, mask);
    }

    private static VectorMask<Float> rest(int from, int n) {
        return SPECIES.indexInRange(from, n);
    }

    static void affine(float[] out, int oo, float[] x, int xo, float scale, float shift, boolean accumulate, int n) {
        FloatVector factor = FloatVector.broadcast(SPECIES, scale);
        FloatVector term = FloatVector.broadcast(SPECIES, shift);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector v = load(x, xo + i).fma(factor, term);
            (accumulate ? v.add(load(out, oo + i)) : v).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            FloatVector v = load(x, xo + i, m).fma(factor, term);
            (accumulate ? v.add(load(out, oo + i, m)) : v).intoArray(out, oo + i, m);
        }
    }

    /** {@code out = a + scale * b}. */
    static void add(float[] out, int oo, float[] a, int ao, float[] b, int bo, float scale, int n) {
        FloatVector factor = FloatVector.broadcast(SPECIES, scale);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            load(b, bo + i).fma(factor, load(a, ao + i)).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            load(b, bo + i, m).fma(factor, load(a, ao + i, m)).intoArray(out, oo + i, m);
        }
    }

    static void multiply(float[] out, int oo, float[] a, int ao, float[] b, int bo, boolean accumulate, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector x = load(a, ao + i);
            FloatVector y = load(b, bo + i);
            (accumulate ? x.fma(y, load(out, oo + i)) : x.mul(y)).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            FloatVector x = load(a, ao + i, m);
            FloatVector y = load(b, bo + i, m);
            (accumulate ? x.fma(y, load(out, oo + i, m)) : x.mul(y)).intoArray(out, oo + i, m);
        }
    }

    /** {@code out += x * factor * y}. */
    static void addScaledProduct(float[] out, int oo, float[] x, int xo, float factor, float[] y, int yo, int n) {
        FloatVector f = FloatVector.broadcast(SPECIES, factor);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            load(x, xo + i).mul(f).fma(load(y, yo + i), load(out, oo + i)).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            load(x, xo + i, m)
                    .mul(f)
                    .fma(load(y, yo + i, m), load(out, oo + i, m))
                    .intoArray(out, oo + i, m);
        }
    }

    /** {@code out (+)= factor * x}. */
    static void scale(float[] out, int oo, float[] x, int xo, float factor, boolean accumulate, int n) {
        FloatVector f = FloatVector.broadcast(SPECIES, factor);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector v = load(x, xo + i);
            (accumulate ? v.fma(f, load(out, oo + i)) : v.mul(f)).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            FloatVector v = load(x, xo + i, m);
            (accumulate ? v.fma(f, load(out, oo + i, m)) : v.mul(f)).intoArray(out, oo + i, m);
        }
    }

    /** {@code out (+)= value}. */
    static void broadcast(float[] out, int oo, float value, boolean accumulate, int n) {
        for (int i = 0; i < n; i++) {
            out[oo + i] = accumulate ? out[oo + i] + value : value;
        }
    }

    static void compare(float[] out, int oo, float[] a, int ao, Comparison comparison, float[] b, int bo, int n) {
        for (int i = 0; i < n; i++) {
            out[oo + i] = holds(a[ao + i], comparison, b[bo + i]) ? 1f : 0f;
        }
    }

    private static boolean holds(float a, Comparison comparison, float b) {
        return switch (comparison) {
            case GREATER -> a > b;
            case AT_LEAST -> a >= b;
            case EQUAL -> a == b;
            case LESS -> a < b;
        };
    }

    static void unary(float[] out, int oo, Unary function, float[] x, int xo, int n) {
        switch (function) {
            case SIGMOID -> sigmoid(out, oo, x, xo, n);
            case TANH -> tanh(out, oo, x, xo, n);
            case SILU -> silu(out, oo, x, xo, n);
            case GELU -> gelu(out, oo, x, xo, n);
            case EXP -> exp(out, oo, x, xo, n);
            case LOG -> {
                for (int i = 0; i < n; i++) {
                    out[oo + i] = (float) StrictMath.log(x[xo + i]);
                }
            }
            case SQUARE -> multiply(out, oo, x, xo, x, xo, false, n);
            case SQRT -> {
                for (int i = 0; i < n; i++) {
                    out[oo + i] = (float) Math.sqrt(x[xo + i]);
                }
            }
            case RECIPROCAL -> {
                for (int i = 0; i < n; i++) {
                    out[oo + i] = 1f / x[xo + i];
                }
            }
            case SOFTPLUS -> {
                for (int i = 0; i < n; i++) {
                    double v = x[xo + i];
                    out[oo + i] = (float) (Math.max(v, 0) + StrictMath.log1p(StrictMath.exp(-Math.abs(v))));
                }
            }
        }
    }

    private static void sigmoid(float[] out, int oo, float[] x, int xo, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            VectorMath.sigmoid(load(x, xo + i)).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            VectorMath.sigmoid(load(x, xo + i, m)).intoArray(out, oo + i, m);
        }
    }

    private static void tanh(float[] out, int oo, float[] x, int xo, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            VectorMath.tanh(load(x, xo + i)).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            VectorMath.tanh(load(x, xo + i, m)).intoArray(out, oo + i, m);
        }
    }

    private static void silu(float[] out, int oo, float[] x, int xo, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            VectorMath.silu(load(x, xo + i)).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            VectorMath.silu(load(x, xo + i, m)).intoArray(out, oo + i, m);
        }
    }

    private static void gelu(float[] out, int oo, float[] x, int xo, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            VectorMath.gelu(load(x, xo + i)).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            VectorMath.gelu(load(x, xo + i, m)).intoArray(out, oo + i, m);
        }
    }

    private static void exp(float[] out, int oo, float[] x, int xo, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            VectorMath.exp(load(x, xo + i)).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            VectorMath.exp(load(x, xo + i, m)).intoArray(out, oo + i, m);
        }
    }

    /** {@code dx (+)= f'(x) * dy}. */
    static void unaryBackward(
            float[] dx,
            int dxo,
            Unary function,
            float[] x,
            int xo,
            float[] y,
            int yo,
            float[] dy,
            int dyo,
            boolean accumulate,
            int n) {
        switch (function) {
            case SILU -> siluBackward(dx, dxo, x, xo, dy, dyo, accumulate, n);
            case GELU -> geluBackward(dx, dxo, x, xo, dy, dyo, accumulate, n);
            case SOFTPLUS -> softplusBackward(dx, dxo, x, xo, dy, dyo, accumulate, n);
            case SIGMOID, TANH, EXP, LOG, SQUARE, SQRT, RECIPROCAL -> {
                for (int i = 0; i < n; i++) {
                    float value = y[yo + i];
                    float slope = switch (function) {
                        case SIGMOID -> value * (1 - value);
                        case TANH -> 1 - value * value;
                        case EXP -> value;
                        case LOG -> 1 / x[xo + i];
                        case SQUARE -> 2 * x[xo + i];
                        case SQRT -> 0.5f / value;
                        case RECIPROCAL -> -value * value;
                        case SILU, GELU, SOFTPLUS ->
                            throw new IllegalStateException(function + " has a loop of its own");
                    };
                    float gradient = slope * dy[dyo + i];
                    dx[dxo + i] = accumulate ? dx[dxo + i] + gradient : gradient;
                }
            }
        }
    }

    /** {@code silu'(x) = s * (1 + x * (1 - s))} with {@code s = sigmoid(x)}. */
    private static FloatVector siluSlope(FloatVector x) {
        FloatVector one = FloatVector.broadcast(SPECIES, 1f);
        FloatVector s = VectorMath.sigmoid(x);
        return s.mul(x.fma(one.sub(s), one));
    }

    private static void siluBackward(
            float[] dx, int dxo, float[] x, int xo, float[] dy, int dyo, boolean accumulate, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector g = siluSlope(load(x, xo + i)).mul(load(dy, dyo + i));
            (accumulate ? g.add(load(dx, dxo + i)) : g).intoArray(dx, dxo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            FloatVector g = siluSlope(load(x, xo + i, m)).mul(load(dy, dyo + i, m));
            (accumulate ? g.add(load(dx, dxo + i, m)) : g).intoArray(dx, dxo + i, m);
        }
    }

    private static void geluBackward(
            float[] dx, int dxo, float[] x, int xo, float[] dy, int dyo, boolean accumulate, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector g = VectorMath.geluDerivative(load(x, xo + i)).mul(load(dy, dyo + i));
            (accumulate ? g.add(load(dx, dxo + i)) : g).intoArray(dx, dxo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            FloatVector g = VectorMath.geluDerivative(load(x, xo + i, m)).mul(load(dy, dyo + i, m));
            (accumulate ? g.add(load(dx, dxo + i, m)) : g).intoArray(dx, dxo + i, m);
        }
    }

    private static void softplusBackward(
            float[] dx, int dxo, float[] x, int xo, float[] dy, int dyo, boolean accumulate, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector g = VectorMath.sigmoid(load(x, xo + i)).mul(load(dy, dyo + i));
            (accumulate ? g.add(load(dx, dxo + i)) : g).intoArray(dx, dxo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            FloatVector g = VectorMath.sigmoid(load(x, xo + i, m)).mul(load(dy, dyo + i, m));
            (accumulate ? g.add(load(dx, dxo + i, m)) : g).intoArray(dx, dxo + i, m);
        }
    }

    /** {@code out = silu(gate) * up}. */
    static void swiGlu(float[] out, int oo, float[] gate, int go, float[] up, int uo, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            VectorMath.silu(load(gate, go + i)).mul(load(up, uo + i)).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            VectorMath.silu(load(gate, go + i, m)).mul(load(up, uo + i, m)).intoArray(out, oo + i, m);
        }
    }

    /** {@code dgate = silu'(gate) * up * dy}, {@code dup = silu(gate) * dy}. */
    static void swiGluBackward(
            float[] dgate,
            int dgo,
            float[] dup,
            int duo,
            float[] gate,
            int go,
            float[] up,
            int uo,
            float[] dy,
            int dyo,
            int n) {
        FloatVector one = FloatVector.broadcast(SPECIES, 1f);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector x = load(gate, go + i);
            FloatVector d = load(dy, dyo + i);
            FloatVector u = load(up, uo + i);
            FloatVector s = VectorMath.sigmoid(x);
            x.mul(s).mul(d).intoArray(dup, duo + i);
            s.mul(x.fma(one.sub(s), one)).mul(u).mul(d).intoArray(dgate, dgo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            FloatVector x = load(gate, go + i, m);
            FloatVector d = load(dy, dyo + i, m);
            FloatVector u = load(up, uo + i, m);
            FloatVector s = VectorMath.sigmoid(x);
            x.mul(s).mul(d).intoArray(dup, duo + i, m);
            s.mul(x.fma(one.sub(s), one)).mul(u).mul(d).intoArray(dgate, dgo + i, m);
        }
    }

    /** The numbers of an AdamW step that are the same for all elements. */
    record AdamW(
            float scale,
            float beta1,
            float rest1,
            float beta2,
            float rest2,
            float stepSize,
            float secondScale,
            float epsilon,
            float keep) {}

    /**
     * {@code m = beta1 m + rest1 g; v = beta2 v + rest2 g^2; p = keep p - stepSize m / (sqrt(secondScale v) + epsilon)} with g the
     * scaled gradient, {@code rest = 1 - beta}, {@code stepSize = lr / (1 - beta1^t)}, {@code secondScale = 1 / (1 - beta2^t)}, {@code keep = 1 - lr decay}.
     */
    static void adamW(float[] p, int po, float[] g, int go, float[] m, int mo, float[] v, int vo, AdamW step, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector slope = load(g, go + i).mul(step.scale);
            FloatVector first = load(m, mo + i).mul(step.beta1).add(slope.mul(step.rest1));
            FloatVector second =
                    load(v, vo + i).mul(step.beta2).add(slope.mul(slope).mul(step.rest2));
            first.intoArray(m, mo + i);
            second.intoArray(v, vo + i);
            FloatVector move = first.mul(step.stepSize)
                    .div(second.mul(step.secondScale).sqrt().add(step.epsilon));
            load(p, po + i).mul(step.keep).sub(move).intoArray(p, po + i);
        }
        if (i < n) {
            VectorMask<Float> mask = rest(i, n);
            FloatVector slope = load(g, go + i, mask).mul(step.scale);
            FloatVector first = load(m, mo + i, mask).mul(step.beta1).add(slope.mul(step.rest1));
            FloatVector second =
                    load(v, vo + i, mask).mul(step.beta2).add(slope.mul(slope).mul(step.rest2));
            first.intoArray(m, mo + i, mask);
            second.intoArray(v, vo + i, mask);
            FloatVector move = first.mul(step.stepSize)
                    .div(second.mul(step.secondScale).sqrt().add(step.epsilon));
            load(p, po + i, mask).mul(step.keep).sub(move).intoArray(p, po + i, mask);
        }
    }

    /** The sum of {@code x . y} in a fixed order; lanes in single, the rest in double precision. */
    static float dot(float[] x, int xo, float[] y, int yo, int n) {
        FloatVector a = FloatVector.zero(SPECIES);
        FloatVector b = FloatVector.zero(SPECIES);
        FloatVector c = FloatVector.zero(SPECIES);
        FloatVector d = FloatVector.zero(SPECIES);
        int i = 0;
        for (; i <= n - 4 * LANES; i += 4 * LANES) {
            a = load(x, xo + i).fma(load(y, yo + i), a);
            b = load(x, xo + i + LANES).fma(load(y, yo + i + LANES), b);
            c = load(x, xo + i + 2 * LANES).fma(load(y, yo + i + 2 * LANES), c);
            d = load(x, xo + i + 3 * LANES).fma(load(y, yo + i + 3 * LANES), d);
        }
        for (; i <= n - LANES; i += LANES) {
            a = load(x, xo + i).fma(load(y, yo + i), a);
        }
        if (i == n) {
            return Vectors.sum(a.add(b).add(c.add(d)));
        }
        VectorMask<Float> m = rest(i, n);
        FloatVector last = load(x, xo + i, m).fma(load(y, yo + i, m), b);
        return Vectors.sum(a.add(last).add(c.add(d)));
    }

    /** The sum of the elements in a fixed order. */
    static float sum(float[] x, int xo, int n) {
        FloatVector a = FloatVector.zero(SPECIES);
        FloatVector b = FloatVector.zero(SPECIES);
        int i = 0;
        for (; i <= n - 2 * LANES; i += 2 * LANES) {
            a = a.add(load(x, xo + i));
            b = b.add(load(x, xo + i + LANES));
        }
        for (; i <= n - LANES; i += LANES) {
            a = a.add(load(x, xo + i));
        }
        if (i == n) {
            return Vectors.sum(a.add(b));
        }
        return Vectors.sum(a.add(b.add(load(x, xo + i, rest(i, n)))));
    }

    /** The largest element; NaN elements are ignored, negative infinity if there is none. */
    static float largest(float[] x, int xo, int n) {
        FloatVector a = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
        FloatVector b = a;
        int i = 0;
        for (; i <= n - 2 * LANES; i += 2 * LANES) {
            a = Vectors.larger(a, load(x, xo + i));
            b = Vectors.larger(b, load(x, xo + i + LANES));
        }
        float largest = Vectors.largest(Vectors.larger(a, b));
        for (; i < n; i++) {
            largest = x[xo + i] > largest ? x[xo + i] : largest;
        }
        return largest;
    }

    /** {@code out = exp(x - shift)}; returns the sum of the results in a fixed order. */
    static float expOfDifference(float[] out, int oo, float[] x, int xo, float shift, int n) {
        FloatVector total = FloatVector.zero(SPECIES);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector e = VectorMath.exp(load(x, xo + i).sub(shift));
            e.intoArray(out, oo + i);
            total = total.add(e);
        }
        if (i == n) {
            return Vectors.sum(total);
        }
        VectorMask<Float> m = rest(i, n);
        FloatVector last = VectorMath.exp(load(x, xo + i, m).sub(shift));
        last.intoArray(out, oo + i, m);
        return Vectors.sum(total.add(last, m));
    }

    /** The sum of {@code exp(x - shift)}, in the order of {@link #expOfDifference}. */
    static float sumOfExp(float[] x, int xo, float shift, int n) {
        FloatVector total = FloatVector.zero(SPECIES);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            total = total.add(VectorMath.exp(load(x, xo + i).sub(shift)));
        }
        if (i == n) {
            return Vectors.sum(total);
        }
        VectorMask<Float> m = rest(i, n);
        return Vectors.sum(total.add(VectorMath.exp(load(x, xo + i, m).sub(shift)), m));
    }

    /** {@code out (+)= y * (dy - shift)}. */
    static void softmaxBackward(
            float[] out, int oo, float[] y, int yo, float[] dy, int dyo, float shift, boolean accumulate, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector g = load(y, yo + i).mul(load(dy, dyo + i).sub(shift));
            (accumulate ? g.add(load(out, oo + i)) : g).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            FloatVector g = load(y, yo + i, m).mul(load(dy, dyo + i, m).sub(shift));
            (accumulate ? g.add(load(out, oo + i, m)) : g).intoArray(out, oo + i, m);
        }
    }

    /** {@code out = x * factor * weight}: a normalised row. */
    static void normalise(float[] out, int oo, float[] x, int xo, float factor, float[] weight, int wo, int n) {
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            load(x, xo + i).mul(factor).mul(load(weight, wo + i)).intoArray(out, oo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            load(x, xo + i, m).mul(factor).mul(load(weight, wo + i, m)).intoArray(out, oo + i, m);
        }
    }

    /** The sum of {@code x * y * z} in a fixed order. */
    static float tripleDot(float[] x, int xo, float[] y, int yo, float[] z, int zo, int n) {
        FloatVector a = FloatVector.zero(SPECIES);
        FloatVector b = FloatVector.zero(SPECIES);
        int i = 0;
        for (; i <= n - 2 * LANES; i += 2 * LANES) {
            a = load(x, xo + i).mul(load(y, yo + i)).fma(load(z, zo + i), a);
            b = load(x, xo + i + LANES).mul(load(y, yo + i + LANES)).fma(load(z, zo + i + LANES), b);
        }
        for (; i <= n - LANES; i += LANES) {
            a = load(x, xo + i).mul(load(y, yo + i)).fma(load(z, zo + i), a);
        }
        if (i == n) {
            return Vectors.sum(a.add(b));
        }
        VectorMask<Float> m = rest(i, n);
        return Vectors.sum(a.add(load(x, xo + i, m).mul(load(y, yo + i, m)).fma(load(z, zo + i, m), b)));
    }

    /** {@code dx (+)= dy * weight * factor - x * common}: the gradient of a normalised row. */
    static void normaliseBackward(
            float[] dx,
            int dxo,
            float[] dy,
            int dyo,
            float[] weight,
            int wo,
            float factor,
            float[] x,
            int xo,
            float common,
            boolean accumulate,
            int n) {
        FloatVector negated = FloatVector.broadcast(SPECIES, -common);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector g = load(x, xo + i)
                    .fma(negated, load(dy, dyo + i).mul(load(weight, wo + i)).mul(factor));
            (accumulate ? g.add(load(dx, dxo + i)) : g).intoArray(dx, dxo + i);
        }
        if (i < n) {
            VectorMask<Float> m = rest(i, n);
            FloatVector g = load(x, xo + i, m)
                    .fma(
                            negated,
                            load(dy, dyo + i, m).mul(load(weight, wo + i, m)).mul(factor));
            (accumulate ? g.add(load(dx, dxo + i, m)) : g).intoArray(dx, dxo + i, m);
        }
    }
}
