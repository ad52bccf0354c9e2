package io.mor.backend.cpu;

import static io.mor.backend.cpu.Vectors.LANES;
import static io.mor.backend.cpu.Vectors.SPECIES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * The inner loops of attention's forward pass, for one query and for four. Both give the same bits: a score is summed over every {@code
 * LANES}-th element of the head first, as the lanes of a vector along the head do, and then over the lanes, halves first ({@link
 * Vectors#sum}); values are added in ascending order of the entries.
 */
final class AttentionLoops {

    /** Queries of a tile. */
    static final int QUERIES = 4;

    private AttentionLoops() {}

    /**
     * The scores of one query with {@code count} keys, times {@code scale}.
     *
     * @param ko where the first key starts; the others follow {@code stride} apart
     * @param n elements of a head
     */
    static void scores(
            float[] q, int qo, float[] k, int ko, int stride, int count, int n, float scale, float[] scores, int so) {
        if (n == 4 * LANES) {
            scoresOf4(q, qo, k, ko, stride, count, scale, scores, so);
            return;
        }
        for (int i = 0; i < count; i++) {
            scores[so + i] = score(q, qo, k, ko + i * stride, n) * scale;
        }
    }

    private static void scoresOf4(
            float[] q, int qo, float[] k, int ko, int stride, int count, float scale, float[] scores, int so) {
        FloatVector q0 = FloatVector.fromArray(SPECIES, q, qo);
        FloatVector q1 = FloatVector.fromArray(SPECIES, q, qo + LANES);
        FloatVector q2 = FloatVector.fromArray(SPECIES, q, qo + 2 * LANES);
        FloatVector q3 = FloatVector.fromArray(SPECIES, q, qo + 3 * LANES);
        for (int i = 0; i < count; i++) {
            int at = ko + i * stride;
            FloatVector sum = q0.mul(FloatVector.fromArray(SPECIES, k, at));
            sum = q1.fma(FloatVector.fromArray(SPECIES, k, at + LANES), sum);
            sum = q2.fma(FloatVector.fromArray(SPECIES, k, at + 2 * LANES), sum);
            sum = q3.fma(FloatVector.fromArray(SPECIES, k, at + 3 * LANES), sum);
            scores[so + i] = Vectors.sum(sum) * scale;
        }
    }

    /** {@code q . k} over {@code n} elements of a head. */
    private static float score(float[] q, int qo, float[] k, int ko, int n) {
        FloatVector sum = FloatVector.zero(SPECIES);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            sum = FloatVector.fromArray(SPECIES, q, qo + i).fma(FloatVector.fromArray(SPECIES, k, ko + i), sum);
        }
        if (i < n) {
            VectorMask<Float> m = SPECIES.indexInRange(i, n);
            sum = FloatVector.fromArray(SPECIES, q, qo + i, m).fma(FloatVector.fromArray(SPECIES, k, ko + i, m), sum);
        }
        return Vectors.sum(sum);
    }

    /**
     * The scores of {@link #QUERIES} queries with {@code LANES} keys, times {@code scale}.
     *
     * @param keys one element of the head per {@link Tiles#WIDTH}, with the keys side by side from {@code ko}
     * @param partial scratch for {@code LANES / 2 * QUERIES} vectors
     * @param scores receives a vector for each query, {@code stride} apart
     */
    static void scores(
            float[] q,
            int q0,
            int q1,
            int q2,
            int q3,
            float[] keys,
            int ko,
            int headDim,
            float scale,
            float[] partial,
            float[] scores,
            int so,
            int stride) {
        for (int lane = 0; lane < LANES / 2; lane++) {
            int po = lane * QUERIES * LANES;
            int first = ko + lane * Tiles.WIDTH;
            switch (headDim / LANES * LANES == headDim ? headDim / LANES : 0) {
                case 4 -> partialScoresOf4(q, q0 + lane, q1 + lane, q2 + lane, q3 + lane, keys, first, partial, po);
                case 2 -> partialScoresOf2(q, q0 + lane, q1 + lane, q2 + lane, q3 + lane, keys, first, partial, po);
                default -> partialScores(q, q0, q1, q2, q3, keys, ko, headDim, lane, partial, po);
            }
        }
        for (int half = LANES / 4; half >= 1; half /= 2) {
            for (int i = 0; i < half * QUERIES * LANES; i += LANES) {
                FloatVector low = FloatVector.fromArray(SPECIES, partial, i);
                low.add(FloatVector.fromArray(SPECIES, partial, i + half * QUERIES * LANES))
                        .intoArray(partial, i);
            }
        }
        for (int i = 0; i < QUERIES; i++) {
            FloatVector.fromArray(SPECIES, partial, i * LANES).mul(scale).intoArray(scores, so + i * stride);
        }
    }

    /** The sums over the elements {@code lane + i * LANES} of the head, plus those over {@code lane + LANES / 2 + i * LANES}. */
    private static void partialScores(
            float[] q,
            int q0,
            int q1,
            int q2,
            int q3,
            float[] keys,
            int ko,
            int headDim,
            int lane,
            float[] partial,
            int po) {
        FloatVector a0 = FloatVector.zero(SPECIES);
        FloatVector a1 = FloatVector.zero(SPECIES);
        FloatVector a2 = FloatVector.zero(SPECIES);
        FloatVector a3 = FloatVector.zero(SPECIES);
        FloatVector b0 = FloatVector.zero(SPECIES);
        FloatVector b1 = FloatVector.zero(SPECIES);
        FloatVector b2 = FloatVector.zero(SPECIES);
        FloatVector b3 = FloatVector.zero(SPECIES);
        int d = lane;
        for (; d < headDim - LANES / 2; d += LANES) {
            FloatVector k = FloatVector.fromArray(SPECIES, keys, ko + d * Tiles.WIDTH);
            a0 = FloatVector.broadcast(SPECIES, q[q0 + d]).fma(k, a0);
            a1 = FloatVector.broadcast(SPECIES, q[q1 + d]).fma(k, a1);
            a2 = FloatVector.broadcast(SPECIES, q[q2 + d]).fma(k, a2);
            a3 = FloatVector.broadcast(SPECIES, q[q3 + d]).fma(k, a3);
            int e = d + LANES / 2;
            FloatVector l = FloatVector.fromArray(SPECIES, keys, ko + e * Tiles.WIDTH);
            b0 = FloatVector.broadcast(SPECIES, q[q0 + e]).fma(l, b0);
            b1 = FloatVector.broadcast(SPECIES, q[q1 + e]).fma(l, b1);
            b2 = FloatVector.broadcast(SPECIES, q[q2 + e]).fma(l, b2);
            b3 = FloatVector.broadcast(SPECIES, q[q3 + e]).fma(l, b3);
        }
        if (d < headDim) {
            FloatVector k = FloatVector.fromArray(SPECIES, keys, ko + d * Tiles.WIDTH);
            a0 = FloatVector.broadcast(SPECIES, q[q0 + d]).fma(k, a0);
            a1 = FloatVector.broadcast(SPECIES, q[q1 + d]).fma(k, a1);
            a2 = FloatVector.broadcast(SPECIES, q[q2 + d]).fma(k, a2);
            a3 = FloatVector.broadcast(SPECIES, q[q3 + d]).fma(k, a3);
        }
        a0.add(b0).intoArray(partial, po);
        a1.add(b1).intoArray(partial, po + LANES);
        a2.add(b2).intoArray(partial, po + 2 * LANES);
        a3.add(b3).intoArray(partial, po + 3 * LANES);
    }

    /** {@link #partialScores} of heads of {@code 4 * LANES} elements, written out: its loop is too short for the compiler to do well. */
    private static void partialScoresOf4(
            float[] q, int q0, int q1, int q2, int q3, float[] keys, int ko, float[] partial, int po) {
        FloatVector k = FloatVector.fromArray(SPECIES, keys, ko);
        FloatVector a0 = FloatVector.broadcast(SPECIES, q[q0]).mul(k);
        FloatVector a1 = FloatVector.broadcast(SPECIES, q[q1]).mul(k);
        FloatVector a2 = FloatVector.broadcast(SPECIES, q[q2]).mul(k);
        FloatVector a3 = FloatVector.broadcast(SPECIES, q[q3]).mul(k);
        k = FloatVector.fromArray(SPECIES, keys, ko + (LANES) * Tiles.WIDTH);
        a0 = FloatVector.broadcast(SPECIES, q[q0 + LANES]).fma(k, a0);
        a1 = FloatVector.broadcast(SPECIES, q[q1 + LANES]).fma(k, a1);
        a2 = FloatVector.broadcast(SPECIES, q[q2 + LANES]).fma(k, a2);
        a3 = FloatVector.broadcast(SPECIES, q[q3 + LANES]).fma(k, a3);
        k = FloatVector.fromArray(SPECIES, keys, ko + (2 * LANES) * Tiles.WIDTH);
        a0 = FloatVector.broadcast(SPECIES, q[q0 + 2 * LANES]).fma(k, a0);
        a1 = FloatVector.broadcast(SPECIES, q[q1 + 2 * LANES]).fma(k, a1);
        a2 = FloatVector.broadcast(SPECIES, q[q2 + 2 * LANES]).fma(k, a2);
        a3 = FloatVector.broadcast(SPECIES, q[q3 + 2 * LANES]).fma(k, a3);
        k = FloatVector.fromArray(SPECIES, keys, ko + (3 * LANES) * Tiles.WIDTH);
        a0 = FloatVector.broadcast(SPECIES, q[q0 + 3 * LANES]).fma(k, a0);
        a1 = FloatVector.broadcast(SPECIES, q[q1 + 3 * LANES]).fma(k, a1);
        a2 = FloatVector.broadcast(SPECIES, q[q2 + 3 * LANES]).fma(k, a2);
        a3 = FloatVector.broadcast(SPECIES, q[q3 + 3 * LANES]).fma(k, a3);
        k = FloatVector.fromArray(SPECIES, keys, ko + (LANES / 2) * Tiles.WIDTH);
        FloatVector b0 = FloatVector.broadcast(SPECIES, q[q0 + LANES / 2]).mul(k);
        FloatVector b1 = FloatVector.broadcast(SPECIES, q[q1 + LANES / 2]).mul(k);
        FloatVector b2 = FloatVector.broadcast(SPECIES, q[q2 + LANES / 2]).mul(k);
        FloatVector b3 = FloatVector.broadcast(SPECIES, q[q3 + LANES / 2]).mul(k);
        k = FloatVector.fromArray(SPECIES, keys, ko + (LANES + LANES / 2) * Tiles.WIDTH);
        b0 = FloatVector.broadcast(SPECIES, q[q0 + LANES + LANES / 2]).fma(k, b0);
        b1 = FloatVector.broadcast(SPECIES, q[q1 + LANES + LANES / 2]).fma(k, b1);
        b2 = FloatVector.broadcast(SPECIES, q[q2 + LANES + LANES / 2]).fma(k, b2);
        b3 = FloatVector.broadcast(SPECIES, q[q3 + LANES + LANES / 2]).fma(k, b3);
        k = FloatVector.fromArray(SPECIES, keys, ko + (2 * LANES + LANES / 2) * Tiles.WIDTH);
        b0 = FloatVector.broadcast(SPECIES, q[q0 + 2 * LANES + LANES / 2]).fma(k, b0);
        b1 = FloatVector.broadcast(SPECIES, q[q1 + 2 * LANES + LANES / 2]).fma(k, b1);
        b2 = FloatVector.broadcast(SPECIES, q[q2 + 2 * LANES + LANES / 2]).fma(k, b2);
        b3 = FloatVector.broadcast(SPECIES, q[q3 + 2 * LANES + LANES / 2]).fma(k, b3);
        k = FloatVector.fromArray(SPECIES, keys, ko + (3 * LANES + LANES / 2) * Tiles.WIDTH);
        b0 = FloatVector.broadcast(SPECIES, q[q0 + 3 * LANES + LANES / 2]).fma(k, b0);
        b1 = FloatVector.broadcast(SPECIES, q[q1 + 3 * LANES + LANES / 2]).fma(k, b1);
        b2 = FloatVector.broadcast(SPECIES, q[q2 + 3 * LANES + LANES / 2]).fma(k, b2);
        b3 = FloatVector.broadcast(SPECIES, q[q3 + 3 * LANES + LANES / 2]).fma(k, b3);
        a0.add(b0).intoArray(partial, po);
        a1.add(b1).intoArray(partial, po + LANES);
        a2.add(b2).intoArray(partial, po + 2 * LANES);
        a3.add(b3).intoArray(partial, po + 3 * LANES);
    }

    /** {@link #partialScores} of heads of {@code 2 * LANES} elements. */
    private static void partialScoresOf2(
            float[] q, int q0, int q1, int q2, int q3, float[] keys, int ko, float[] partial, int po) {
        FloatVector k = FloatVector.fromArray(SPECIES, keys, ko);
        FloatVector a0 = FloatVector.broadcast(SPECIES, q[q0]).mul(k);
        FloatVector a1 = FloatVector.broadcast(SPECIES, q[q1]).mul(k);
        FloatVector a2 = FloatVector.broadcast(SPECIES, q[q2]).mul(k);
        FloatVector a3 = FloatVector.broadcast(SPECIES, q[q3]).mul(k);
        k = FloatVector.fromArray(SPECIES, keys, ko + (LANES) * Tiles.WIDTH);
        a0 = FloatVector.broadcast(SPECIES, q[q0 + LANES]).fma(k, a0);
        a1 = FloatVector.broadcast(SPECIES, q[q1 + LANES]).fma(k, a1);
        a2 = FloatVector.broadcast(SPECIES, q[q2 + LANES]).fma(k, a2);
        a3 = FloatVector.broadcast(SPECIES, q[q3 + LANES]).fma(k, a3);
        k = FloatVector.fromArray(SPECIES, keys, ko + (LANES / 2) * Tiles.WIDTH);
        FloatVector b0 = FloatVector.broadcast(SPECIES, q[q0 + LANES / 2]).mul(k);
        FloatVector b1 = FloatVector.broadcast(SPECIES, q[q1 + LANES / 2]).mul(k);
        FloatVector b2 = FloatVector.broadcast(SPECIES, q[q2 + LANES / 2]).mul(k);
        FloatVector b3 = FloatVector.broadcast(SPECIES, q[q3 + LANES / 2]).mul(k);
        k = FloatVector.fromArray(SPECIES, keys, ko + (LANES + LANES / 2) * Tiles.WIDTH);
        b0 = FloatVector.broadcast(SPECIES, q[q0 + LANES + LANES / 2]).fma(k, b0);
        b1 = FloatVector.broadcast(SPECIES, q[q1 + LANES + LANES / 2]).fma(k, b1);
        b2 = FloatVector.broadcast(SPECIES, q[q2 + LANES + LANES / 2]).fma(k, b2);
        b3 = FloatVector.broadcast(SPECIES, q[q3 + LANES + LANES / 2]).fma(k, b3);
        a0.add(b0).intoArray(partial, po);
        a1.add(b1).intoArray(partial, po + LANES);
        a2.add(b2).intoArray(partial, po + 2 * LANES);
        a3.add(b3).intoArray(partial, po + 3 * LANES);
    }

    /** Makes the elements of a vector from {@code at} on negative infinity, whose weight is 0: the softmax then works on whole vectors. */
    static void pad(float[] scores, int at) {
        FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY).intoArray(scores, at);
    }

    /**
     * {@code out += sum of weight * value} for one query.
     *
     * @param out {@code n} elements
     * @param weights one per entry, from {@code wo}
     * @param vo where the first entry's value starts; the others follow {@code stride} apart
     */
    static void mix(
            float[] out, int oo, float[] weights, int wo, float[] values, int vo, int stride, int count, int n) {
        int d = 0;
        for (; d <= n - 4 * LANES; d += 4 * LANES) {
            mixFourVectors(out, oo + d, weights, wo, values, vo + d, stride, count);
        }
        for (; d < n; d += LANES) {
            VectorMask<Float> m = SPECIES.indexInRange(d, n);
            FloatVector sum = FloatVector.fromArray(SPECIES, out, oo + d, m);
            for (int i = 0; i < count; i++) {
                sum = FloatVector.broadcast(SPECIES, weights[wo + i])
                        .fma(FloatVector.fromArray(SPECIES, values, vo + d + i * stride, m), sum);
            }
            sum.intoArray(out, oo + d, m);
        }
    }

    private static void mixFourVectors(
            float[] out, int oo, float[] weights, int wo, float[] values, int vo, int stride, int count) {
        FloatVector a = FloatVector.fromArray(SPECIES, out, oo);
        FloatVector b = FloatVector.fromArray(SPECIES, out, oo + LANES);
        FloatVector c = FloatVector.fromArray(SPECIES, out, oo + 2 * LANES);
        FloatVector d = FloatVector.fromArray(SPECIES, out, oo + 3 * LANES);
        for (int i = 0; i < count; i++) {
            FloatVector w = FloatVector.broadcast(SPECIES, weights[wo + i]);
            int at = vo + i * stride;
            a = w.fma(FloatVector.fromArray(SPECIES, values, at), a);
            b = w.fma(FloatVector.fromArray(SPECIES, values, at + LANES), b);
            c = w.fma(FloatVector.fromArray(SPECIES, values, at + 2 * LANES), c);
            d = w.fma(FloatVector.fromArray(SPECIES, values, at + 3 * LANES), d);
        }
        a.intoArray(out, oo);
        b.intoArray(out, oo + LANES);
        c.intoArray(out, oo + 2 * LANES);
        d.intoArray(out, oo + 3 * LANES);
    }

    /**
     * As {@link #mix} for {@link #QUERIES} queries with the same entries.
     *
     * @param o0 the first query's result; and so on
     * @param wo the first query's weights; the others follow {@code weightStride} apart
     */
    static void mix(
            float[] out,
            int o0,
            int o1,
            int o2,
            int o3,
            float[] weights,
            int wo,
            int weightStride,
            float[] values,
            int vo,
            int stride,
            int count,
            int n) {
        int d = 0;
        for (; d <= n - 2 * LANES; d += 2 * LANES) {
            mixTwoVectors(
                    out, o0 + d, o1 + d, o2 + d, o3 + d, weights, wo, weightStride, values, vo + d, stride, count);
        }
        for (; d < n; d += LANES) {
            mixOneVector(
                    out,
                    o0 + d,
                    o1 + d,
                    o2 + d,
                    o3 + d,
                    weights,
                    wo,
                    weightStride,
                    values,
                    vo + d,
                    stride,
                    count,
                    n - d);
        }
    }

    private static void mixTwoVectors(
            float[] out,
            int o0,
            int o1,
            int o2,
            int o3,
            float[] weights,
            int wo,
            int weightStride,
            float[] values,
            int vo,
            int stride,
            int count) {
        FloatVector a0 = FloatVector.fromArray(SPECIES, out, o0);
        FloatVector b0 = FloatVector.fromArray(SPECIES, out, o0 + LANES);
        FloatVector a1 = FloatVector.fromArray(SPECIES, out, o1);
        FloatVector b1 = FloatVector.fromArray(SPECIES, out, o1 + LANES);
        FloatVector a2 = FloatVector.fromArray(SPECIES, out, o2);
        FloatVector b2 = FloatVector.fromArray(SPECIES, out, o2 + LANES);
        FloatVector a3 = FloatVector.fromArray(SPECIES, out, o3);
        FloatVector b3 = FloatVector.fromArray(SPECIES, out, o3 + LANES);
        int w1 = wo + weightStride;
        int w2 = w1 + weightStride;
        int w3 = w2 + weightStride;
        for (int i = 0; i < count; i++) {
            FloatVector v = FloatVector.fromArray(SPECIES, values, vo + i * stride);
            FloatVector u = FloatVector.fromArray(SPECIES, values, vo + i * stride + LANES);
            FloatVector w = FloatVector.broadcast(SPECIES, weights[wo + i]);
            a0 = w.fma(v, a0);
            b0 = w.fma(u, b0);
            w = FloatVector.broadcast(SPECIES, weights[w1 + i]);
            a1 = w.fma(v, a1);
            b1 = w.fma(u, b1);
            w = FloatVector.broadcast(SPECIES, weights[w2 + i]);
            a2 = w.fma(v, a2);
            b2 = w.fma(u, b2);
            w = FloatVector.broadcast(SPECIES, weights[w3 + i]);
            a3 = w.fma(v, a3);
            b3 = w.fma(u, b3);
        }
        a0.intoArray(out, o0);
        b0.intoArray(out, o0 + LANES);
        a1.intoArray(out, o1);
        b1.intoArray(out, o1 + LANES);
        a2.intoArray(out, o2);
        b2.intoArray(out, o2 + LANES);
        a3.intoArray(out, o3);
        b3.intoArray(out, o3 + LANES);
    }

    /** The first {@code n} lanes, up to all. */
    private static void mixOneVector(
            float[] out,
            int o0,
            int o1,
            int o2,
            int o3,
            float[] weights,
            int wo,
            int weightStride,
            float[] values,
            int vo,
            int stride,
            int count,
            int n) {
        VectorMask<Float> m = SPECIES.indexInRange(0, n);
        FloatVector a0 = FloatVector.fromArray(SPECIES, out, o0, m);
        FloatVector a1 = FloatVector.fromArray(SPECIES, out, o1, m);
        FloatVector a2 = FloatVector.fromArray(SPECIES, out, o2, m);
        FloatVector a3 = FloatVector.fromArray(SPECIES, out, o3, m);
        int w1 = wo + weightStride;
        int w2 = w1 + weightStride;
        int w3 = w2 + weightStride;
        for (int i = 0; i < count; i++) {
            FloatVector v = FloatVector.fromArray(SPECIES, values, vo + i * stride, m);
            a0 = FloatVector.broadcast(SPECIES, weights[wo + i]).fma(v, a0);
            a1 = FloatVector.broadcast(SPECIES, weights[w1 + i]).fma(v, a1);
            a2 = FloatVector.broadcast(SPECIES, weights[w2 + i]).fma(v, a2);
            a3 = FloatVector.broadcast(SPECIES, weights[w3 + i]).fma(v, a3);
        }
        a0.intoArray(out, o0, m);
        a1.intoArray(out, o1, m);
        a2.intoArray(out, o2, m);
        a3.intoArray(out, o3, m);
    }
}
