package io.mor.api.tensor;

import io.mor.api.plugin.Stability;

/**
 * The key of a counter-based random stream: the same key gives the same numbers on every backend, in any order of evaluation and with any
 * number of threads.
 *
 * @param seed the run's seed
 * @param stream what the numbers are for; streams are independent
 * @param step the step or micro-batch they are drawn in
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record RandomKey(long seed, long stream, long step) {

    /** A key for a named stream. */
    public static RandomKey of(long seed, String stream, long step) {
        long hash = 0xcbf29ce484222325L; // FNV-1a: stable over versions, unlike String.hashCode by contract of no one
        for (int i = 0; i < stream.length(); i++) {
            hash = (hash ^ stream.charAt(i)) * 0x100000001b3L;
        }
        return new RandomKey(seed, hash, step);
    }

    /**
     * Uniform bits for two counters. This is the definition that every backend follows: three rounds of the SplitMix64 finaliser, keyed
     * by seed, stream, step and the counters.
     */
    public long bits(long counterHigh, long counterLow) {
        long z = mix(seed + 0x9e3779b97f4a7c15L * (stream + 1));
        z = mix(z ^ mix(step * 0xd1342543de82ef95L + counterHigh));
        return mix(z + 0x9e3779b97f4a7c15L * (counterLow + 1));
    }

    /** A uniform number in [0, 1) with 24 random bits, exact in single precision. */
    public double uniform(long counterHigh, long counterLow) {
        return (bits(counterHigh, counterLow) >>> 40) * 0x1.0p-24;
    }

    /** A standard normal number (Box-Muller on two halves of the bits). */
    public double normal(long counterHigh, long counterLow) {
        long bits = bits(counterHigh, counterLow);
        double u = ((bits >>> 32) + 1) * 0x1.0p-32; // (0, 1]
        double v = (bits & 0xffffffffL) * 0x1.0p-32;
        return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
    }

    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }
}
