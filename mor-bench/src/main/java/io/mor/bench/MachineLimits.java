package io.mor.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CyclicBarrier;
import java.util.function.IntSupplier;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * What the machine can do, measured: multiply-adds on registers alone, and copying and reading arrays that fit no cache.
 *
 * @param gigaflops single-precision operations per nanosecond with all threads
 * @param copyBandwidth bytes read and written per nanosecond while copying, with all threads
 * @param readBandwidth bytes per nanosecond while only reading, with all threads
 */
record MachineLimits(double gigaflops, double copyBandwidth, double readBandwidth) {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = SPECIES.length();
    private static final int REPEATS = 12;
    private static final int MULTIPLY_ADDS = 2_000_000;
    private static final int FLOATS = 1 << 25; // 128 MB a thread

    static MachineLimits measure(int threads) {
        double flops = 2.0 * 12 * LANES * MULTIPLY_ADDS;
        double gigaflops = flops / fastest(threads, i -> () -> multiplyAdd(MULTIPLY_ADDS)) * threads;
        float[][] from = new float[threads][FLOATS];
        float[][] to = new float[threads][FLOATS];
        double copied = 2.0 * FLOATS * Float.BYTES;
        double copyBandwidth = copied
                / fastest(threads, i -> () -> {
                    System.arraycopy(from[i], 0, to[i], 0, FLOATS);
                    return (int) to[i][FLOATS / 2];
                })
                * threads;
        double readBandwidth = (double) FLOATS * Float.BYTES / fastest(threads, i -> () -> read(from[i])) * threads;
        return new MachineLimits(gigaflops, copyBandwidth, readBandwidth);
    }

    /** Work for a thread. */
    @FunctionalInterface
    private interface Work {
        IntSupplier of(int thread);
    }

    /** Nanoseconds of the best of several rounds in which all threads work at the same time. */
    private static double fastest(int threads, Work work) {
        CyclicBarrier barrier = new CyclicBarrier(threads);
        double[][] nanos = new double[threads][REPEATS];
        List<Thread> running = new ArrayList<>();
        for (int i = 0; i < threads; i++) {
            int thread = i;
            running.add(Thread.ofPlatform().start(() -> rounds(barrier, work.of(thread), nanos[thread])));
        }
        for (Thread thread : running) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                throw new IllegalStateException("interrupted while measuring the machine", e);
            }
        }
        double best = Double.POSITIVE_INFINITY;
        for (int round = 0; round < REPEATS; round++) {
            double slowest = 0;
            for (double[] ofThread : nanos) {
                slowest = Math.max(slowest, ofThread[round]);
            }
            best = Math.min(best, slowest);
        }
        return best;
    }

    private static void rounds(CyclicBarrier barrier, IntSupplier work, double[] nanos) {
        int sink = 0;
        for (int round = 0; round < nanos.length; round++) {
            try {
                barrier.await();
            } catch (Exception e) {
                throw new IllegalStateException("the other thread failed", e);
            }
            long start = System.nanoTime();
            sink += work.getAsInt();
            nanos[round] = System.nanoTime() - start;
        }
        if (sink == 42_424_242) {
            throw new IllegalStateException("a result that keeps the compiler from dropping the work");
        }
    }

    private static int multiplyAdd(int count) {
        FloatVector x = FloatVector.broadcast(SPECIES, 0.999f);
        FloatVector y = FloatVector.broadcast(SPECIES, 0.001f);
        FloatVector a = y;
        FloatVector b = y;
        FloatVector c = y;
        FloatVector d = y;
        FloatVector e = y;
        FloatVector f = y;
        FloatVector g = y;
        FloatVector h = y;
        FloatVector i = y;
        FloatVector j = y;
        FloatVector k = y;
        FloatVector l = y;
        for (int n = 0; n < count; n++) {
            a = x.fma(y, a);
            b = x.fma(y, b);
            c = x.fma(y, c);
            d = x.fma(y, d);
            e = x.fma(y, e);
            f = x.fma(y, f);
            g = x.fma(y, g);
            h = x.fma(y, h);
            i = x.fma(y, i);
            j = x.fma(y, j);
            k = x.fma(y, k);
            l = x.fma(y, l);
        }
        return (int) a.add(b)
                .add(c)
                .add(d)
                .add(e)
                .add(f)
                .add(g)
                .add(h)
                .add(i)
                .add(j)
                .add(k)
                .add(l)
                .lane(0);
    }

    private static int read(float[] x) {
        FloatVector a = FloatVector.zero(SPECIES);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        for (int i = 0; i <= x.length - 4 * LANES; i += 4 * LANES) {
            a = a.add(FloatVector.fromArray(SPECIES, x, i));
            b = b.add(FloatVector.fromArray(SPECIES, x, i + LANES));
            c = c.add(FloatVector.fromArray(SPECIES, x, i + 2 * LANES));
            d = d.add(FloatVector.fromArray(SPECIES, x, i + 3 * LANES));
        }
        return (int) a.add(b).add(c).add(d).lane(0);
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT,
                "multiply-add %.0f GFLOP/s, copy %.1f GB/s, read %.1f GB/s",
                gigaflops,
                copyBandwidth,
                readBandwidth);
    }
}
