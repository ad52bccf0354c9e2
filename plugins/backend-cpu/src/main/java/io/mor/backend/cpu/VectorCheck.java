package io.mor.backend.cpu;

import static io.mor.backend.cpu.Vectors.LANES;
import static io.mor.backend.cpu.Vectors.SPECIES;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.function.LongSupplier;
import jdk.incubator.vector.FloatVector;

/**
 * Whether the JVM turns vectors into instructions. One that does not (an interpreter, a client compiler, some other compilers) is a hundred
 * times slower; then one warning says so.
 */
final class VectorCheck {

    private static final System.Logger LOGGER = System.getLogger(VectorCheck.class.getName());
    static final int ELEMENTS = 4096;
    private static final long QUIET_TRIAL_NANOS = 300_000_000L; // compiling takes no longer, unless the machine is busy
    private static final long LONGEST_TRIAL_NANOS = 3_000_000_000L;
    static final double SLOW_NANOS_PER_ELEMENT = 1.0; // compiled 0.1 on slow machines; not compiled 10 or more

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

    private static double bestNanosPerElement() {
        float[] x = new float[ELEMENTS];
        return bestNanos(System::nanoTime, VectorCheck::processorNanos, () -> step(x)) / ELEMENTS;
    }

    /** Of this thread; where the JVM does not count it, what has passed. */
    private static long processorNanos() {
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        return threads.isCurrentThreadCpuTimeSupported() && threads.isThreadCpuTimeEnabled()
                ? threads.getCurrentThreadCpuTime()
                : System.nanoTime();
    }

    /**
     * The best time of a trial, made again until it is fast or the trials have taken too long. Too long is counted in time on a processor: on a busy
     * machine the compiler's threads wait as this one does, and by the clock its turn may come late.
     *
     * @param clock nanoseconds that pass
     * @param processor nanoseconds of this thread on a processor; asked for only if the first trials are slow
     */
    static double bestNanos(LongSupplier clock, LongSupplier processor, Runnable trial) {
        double best = Double.POSITIVE_INFINITY;
        long begin = clock.getAsLong();
        while (best > SLOW_NANOS_PER_ELEMENT * ELEMENTS && clock.getAsLong() - begin < QUIET_TRIAL_NANOS) {
            best = Math.min(best, nanos(clock, trial));
        }
        if (best <= SLOW_NANOS_PER_ELEMENT * ELEMENTS) {
            return best;
        }
        long beginOnProcessor = processor.getAsLong();
        while (best > SLOW_NANOS_PER_ELEMENT * ELEMENTS
                && processor.getAsLong() - beginOnProcessor < LONGEST_TRIAL_NANOS) {
            best = Math.min(best, nanos(clock, trial));
        }
        return best;
    }

    private static double nanos(LongSupplier clock, Runnable trial) {
        long start = clock.getAsLong();
        trial.run();
        return clock.getAsLong() - start;
    }

    private static void step(float[] x) {
        FloatVector half = FloatVector.broadcast(SPECIES, 0.5f);
        for (int i = 0; i <= x.length - LANES; i += LANES) {
            FloatVector.fromArray(SPECIES, x, i).fma(half, half).intoArray(x, i);
        }
    }
}
