package io.mor.backend.cpu;

import io.mor.api.tensor.Reduction;
import java.util.Arrays;

/** Choosing rows: top-k, largest elements, groups. Scalar loops over few elements. */
final class Selection {

    private Selection() {}

    /** The index of the largest of {@code n} elements, the lowest of equals; NaN ranks below every number. */
    static int argMax(float[] x, int xo, int n) {
        float largest = Elementwise.largest(x, xo, n); // negative infinity also if all are NaN
        for (int i = 0; i < n; i++) {
            if (x[xo + i] == largest) {
                return i;
            }
        }
        return 0;
    }

    /** Marks the {@code k} largest of the rows {@code first .. end} with 1 and the others with 0; the lower row of equals first. */
    static void topK(float[] mask, int mo, float[] scores, int so, int first, int end, int k) {
        Arrays.fill(mask, mo + first, mo + end, 0f);
        long[] ranked = new long[end - first];
        for (int row = first; row < end; row++) {
            ranked[row - first] = (long) descending(scores[so + row]) << 32 | row;
        }
        Arrays.sort(ranked);
        for (int i = 0; i < Math.min(k, ranked.length); i++) {
            mask[mo + (int) ranked[i]] = 1f;
        }
    }

    /** An integer that is smaller the larger the score is; largest for NaN. */
    private static int descending(float score) {
        if (Float.isNaN(score)) {
            return Integer.MAX_VALUE;
        }
        int bits = Float.floatToRawIntBits(score + 0f); // + 0: negative zero equals zero
        int ascending = bits < 0 ? bits ^ 0x7fffffff : bits;
        return ~ascending;
    }

    static float reduce(Reduction reduction, float[] x, int from, int to) {
        return switch (reduction) {
            case SUM -> {
                double total = 0;
                for (int i = from; i < to; i++) {
                    total += x[i];
                }
                yield (float) total;
            }
            case MAXIMUM -> {
                float largest = Float.NEGATIVE_INFINITY;
                for (int i = from; i < to; i++) {
                    largest = Math.max(largest, x[i]);
                }
                yield largest;
            }
            case MINIMUM -> {
                float smallest = Float.POSITIVE_INFINITY;
                for (int i = from; i < to; i++) {
                    smallest = Math.min(smallest, x[i]);
                }
                yield smallest;
            }
        };
    }

    /** The first index in {@code from .. to} of ascending values that is greater than {@code limit}, or {@code to}. */
    static int firstAfter(int[] ascending, int from, int to, int limit) {
        int low = from;
        int high = to;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (ascending[middle] <= limit) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }
}
