package io.mor.backend.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector width of this process and reductions whose order is fixed. The width is the machine's preferred one unless the system property
 * {@value #BITS_PROPERTY} says 128, 256 or 512; it is constant so that the compiler can turn vectors into registers.
 *
 * <p>{@link FloatVector#reduceLanes} adds floats in an order that may differ between interpreted and compiled code, so it is not used.
 */
final class Vectors {

    static final String BITS_PROPERTY = "io.mor.backend.cpu.vector-bits";

    static final VectorSpecies<Float> SPECIES = species();
    static final int LANES = SPECIES.length();

    private static final VectorShuffle<Float> BY_8 = rotation(8);
    private static final VectorShuffle<Float> BY_4 = rotation(4);
    private static final VectorShuffle<Float> BY_2 = rotation(2);
    private static final VectorShuffle<Float> BY_1 = rotation(1);

    private Vectors() {}

    private static VectorSpecies<Float> species() {
        VectorSpecies<Float> preferred = FloatVector.SPECIES_PREFERRED;
        int bits = Integer.getInteger(BITS_PROPERTY, preferred.vectorBitSize());
        if (bits != 128 && bits != 256 && bits != 512) {
            throw new IllegalArgumentException(
                    "system property " + BITS_PROPERTY + " is " + bits + "; it can be 128, 256 or 512");
        }
        return VectorSpecies.of(float.class, VectorShape.forBitSize(bits));
    }

    private static VectorShuffle<Float> rotation(int distance) {
        return VectorShuffle.fromOp(SPECIES, lane -> (lane + distance) % SPECIES.length());
    }

    /** The sum of all lanes, halves first. */
    static float sum(FloatVector v) {
        FloatVector x = v;
        if (LANES >= 16) {
            x = x.add(x.rearrange(BY_8));
        }
        if (LANES >= 8) {
            x = x.add(x.rearrange(BY_4));
        }
        x = x.add(x.rearrange(BY_2));
        x = x.add(x.rearrange(BY_1));
        return x.lane(0);
    }

    /** Lane by lane the larger; {@code a} where either is NaN. */
    static FloatVector larger(FloatVector a, FloatVector b) {
        return a.blend(b, b.compare(VectorOperators.GT, a));
    }

    /** The largest lane; NaN lanes are ignored unless lane 0 is one. */
    static float largest(FloatVector v) {
        FloatVector x = v;
        if (LANES >= 16) {
            x = larger(x, x.rearrange(BY_8));
        }
        if (LANES >= 8) {
            x = larger(x, x.rearrange(BY_4));
        }
        x = larger(x, x.rearrange(BY_2));
        x = larger(x, x.rearrange(BY_1));
        return x.lane(0);
    }

    /** {@code n} rounded up to whole vectors. */
    static int roundUp(int n) {
        return (n + LANES - 1) / LANES * LANES;
    }
}
