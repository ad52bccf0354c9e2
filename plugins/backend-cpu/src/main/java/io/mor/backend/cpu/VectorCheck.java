package io.mor.backend.cpu;

import static io.mor.backend.cpu.Vectors.LANES;
import static io.mor.backend.cpu.Vectors.SPECIES;

import jdk.incubator.vector.FloatVector;

/**
 * Whether the JVM turns vectors into instructions. One that does not (an interpreter, a client compiler, some other compilers) is a hundred
 * times slower; then one warning says so.
 */
final class VectorCheck {

    private static final System.Logger LOGGER = System.getLogger(VectorCheck.class.getName());
    private static final int ELEMENTS = 4096;
    private static final long LONGEST_TRIAL_NANOS =
            3_000_000_000L; // compiling takes a tenth of it, unless the machine is busy
    private static final double SLOW_NANOS_PER_ELEMENT = 1.0; // compiled 0.1 on slow machines; not compiled 10 or more

    private VectorCheck() {}

    /** The figure of this process, measured when it is first asked for. */
    private static final class Measured {

        static final double NANOS_PER_ELEMENT = measuredAndReported();

        private Measured() {}
    }

    /** Nanoseconds for an element of a simple loop; the first call in a process measures (milliseconds if all is well) and warns if it is slow. */
    static double nanosPerElement() {
        return Measured.NANOS_PER_ELEMENT;
    }

    private static double measuredAndReported() {
        double nanos = bestNanosPerElement();
        if (nanos > SLOW_NANOS_PER_ELEMENT) {
            LOGGER.log(
                    System.Logger.Level.WARNING,
                    "backend cpu: this JVM ({0}, {1}) does not compile the Vector API to vector instructions ({2} ns an element), so kernels run about a"
                            + " hundred times slower; use a HotSpot JDK with its server compiler (for example Temurin 25), without -Xint,"
                            + " -XX:TieredStopAtLevel or a JVMCI compiler",
                    System.getProperty("java.vm.name"),
                    System.getProperty("java.vm.version"),
                    String.format("%.1f", nanos));
        }
        return nanos;
    }

    /** The best time of multiplying and adding, tried until it is fast or the trial has taken too long. */
    private static double bestNanosPerElement() {
        float[] x = new float[ELEMENTS];
        double best = Double.POSITIVE_INFINITY;
        long begin = System.nanoTime();
        while (best > SLOW_NANOS_PER_ELEMENT && System.nanoTime() - begin < LONGEST_TRIAL_NANOS) {
            long start = System.nanoTime();
            step(x);
            best = Math.min(best, (double) (System.nanoTime() - start) / ELEMENTS);
        }
        return best;
    }

    private static void step(float[] x) {
        FloatVector half = FloatVector.broadcast(SPECIES, 0.5f);
        for (int i = 0; i <= x.length - LANES; i += LANES) {
            FloatVector.fromArray(SPECIES, x, i).fma(half, half).intoArray(x, i);
        }
    }
}
