package io.mor.backend.cpu;

import static io.mor.backend.cpu.Vectors.LANES;
import static io.mor.backend.cpu.Vectors.SPECIES;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Cosines and sines of the rotary embedding for the positions met so far, computed in double precision. Halves are rotated (spec 4.3):
 * element i of a head pairs with element {@code i + headDim / 2}, at the angle {@code position * theta^(-2 i / headDim)}.
 */
final class RotaryTables {

    private final int headDim;
    private final double theta;
    private float[] cosines = new float[0]; // [positions, headDim / 2]
    private float[] sines = new float[0];
    private int positions;

    RotaryTables(int headDim, double theta) {
        this.headDim = headDim;
        this.theta = theta;
    }

    boolean isFor(int headDim, double theta) {
        return this.headDim == headDim && this.theta == theta;
    }

    /** Makes the tables reach {@code position}. */
    void reach(int position) {
        if (position < positions) {
            return;
        }
        int half = headDim / 2;
        int first = positions;
        int last = Math.max(position + 1, Math.min(2 * positions, position + 4096));
        cosines = Arrays.copyOf(cosines, last * half);
        sines = Arrays.copyOf(sines, last * half);
        for (int i = 0; i < half; i++) {
            double frequency = StrictMath.pow(theta, -2.0 * i / headDim);
            for (int p = first; p < last; p++) {
                cosines[p * half + i] = (float) StrictMath.cos(p * frequency);
                sines[p * half + i] = (float) StrictMath.sin(p * frequency);
            }
        }
        positions = last;
    }

    /** Rotates all heads of one row of {@code columns} elements. */
    void rotate(float[] out, int oo, float[] x, int xo, int columns, int position, boolean inverse) {
        int half = headDim / 2;
        int table = position * half;
        for (int head = 0; head < columns; head += headDim) {
            rotateHead(out, oo + head, x, xo + head, half, cosines, sines, table, inverse);
        }
    }

    private static void rotateHead(
            float[] out,
            int oo,
            float[] x,
            int xo,
            int half,
            float[] cosines,
            float[] sines,
            int table,
            boolean inverse) {
        for (int i = 0; i < half; i += LANES) {
            VectorMask<Float> m = SPECIES.indexInRange(i, half);
            FloatVector cosine = FloatVector.fromArray(SPECIES, cosines, table + i, m);
            FloatVector sine = FloatVector.fromArray(SPECIES, sines, table + i, m);
            if (inverse) {
                sine = sine.neg();
            }
            FloatVector first = FloatVector.fromArray(SPECIES, x, xo + i, m);
            FloatVector second = FloatVector.fromArray(SPECIES, x, xo + half + i, m);
            first.mul(cosine).sub(second.mul(sine)).intoArray(out, oo + i, m);
            second.mul(cosine).add(first.mul(sine)).intoArray(out, oo + half + i, m);
        }
    }
}
