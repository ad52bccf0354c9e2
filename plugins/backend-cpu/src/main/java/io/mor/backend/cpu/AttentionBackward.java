package io.mor.backend.cpu;

import io.mor.api.tensor.AttentionShape;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import jdk.incubator.vector.FloatVector;

/**
 * Gradients of {@link AttentionForward} for ranges without a table. For each group and key-value head one thread walks over tiles of query rows
 * and blocks of keys, in a fixed order, and computes with matrix products of {@link Tiles}:
 *
 * <pre>
 * p  = exp(q . k * scale - logSumExp)      dp = dout . v
 * ds = p * (dp - dout . out) * scale
 * dv += p^T dout     dk += ds^T q     dq += ds k
 * </pre>
 */
final class AttentionBackward {

    private static final int ROWS = 24; // query rows of a tile
    private static final int KEYS = 256; // keys of a block; two tiles of scores take 48 KB

    private final AttentionInput in;
    private final AttentionShape shape;
    private final int headDim;
    private final int width; // headDim rounded up to whole tiles
    private final float scale;
    private final Workers workers;
    private final Memory memory;
    private final Gradients gradients;

    /**
     * The other operands of {@link io.mor.api.backend.Backend#attentionBackward}.
     *
     * @param dqueries set
     * @param dkeys added to
     * @param dvalues added to
     */
    record Gradients(
            CpuTensor dqueries,
            CpuTensor dkeys,
            CpuTensor dvalues,
            CpuTensor out,
            CpuTensor logSumExp,
            CpuTensor dout) {}

    AttentionBackward(AttentionInput in, Workers workers, Memory memory, Gradients gradients) {
        this.in = in;
        this.shape = in.shape();
        this.headDim = shape.headDim();
        this.width = (headDim + Tiles.WIDTH - 1) / Tiles.WIDTH * Tiles.WIDTH;
        this.scale = in.scale();
        this.workers = workers;
        this.memory = memory;
        this.gradients = gradients;
    }

    /** Scratch memory of a thread; keys of the group count from 0. */
    private final class Scratch {

        private final float[] packedKeys; // [panels, headDim, WIDTH]
        private final float[] packedValues;
        private final float[] keys; // [keys, width]
        private final float[] dkeys; // [keys, width]
        private final float[] dvalues;
        private final float[] queries = new float[ROWS * width];
        private final float[] dout = new float[ROWS * width];
        private final float[] dqueries = new float[ROWS * width];
        private final float[] p = new float[ROWS * KEYS];
        private final float[] ds = new float[ROWS * KEYS];

        Scratch(float[][] arrays) {
            packedKeys = arrays[0];
            packedValues = arrays[1];
            keys = arrays[2];
            dkeys = arrays[3];
            dvalues = arrays[4];
        }
    }

    void run() {
        List<AttentionInput.Group> groups = in.groups();
        int longest = 0;
        for (AttentionInput.Group group : groups) {
            longest = Math.max(longest, group.entries());
        }
        int parts = groups.size() * shape.kvHeads();
        int threads = Math.min(workers.threads(), parts);
        float[][][] arrays = new float[threads][5][];
        Scratch[] scratch = new Scratch[workers.threads()];
        long packed = (long) PackedPanels.panels(longest) * Tiles.WIDTH * headDim;
        // any of the pool's threads may come, but only as many as there are parts
        for (int i = 0; i < threads; i++) {
            for (int j = 0; j < 5; j++) {
                arrays[i][j] = memory.take(j < 2 ? packed : (long) longest * width, "scratch memory of attention");
            }
        }
        AtomicInteger next = new AtomicInteger();
        workers.run(parts, (thread, part) -> {
            if (scratch[thread] == null) {
                scratch[thread] = new Scratch(arrays[next.getAndIncrement()]);
            }
            group(groups.get(part / shape.kvHeads()), part % shape.kvHeads(), scratch[thread]);
        });
        for (float[][] ofThread : arrays) {
            for (float[] array : ofThread) {
                memory.giveBack(array);
            }
        }
    }

    private void group(AttentionInput.Group group, int kvHead, Scratch s) {
        int entries = group.entries();
        int column = kvHead * headDim;
        pack(in.keys(), group, column, s.packedKeys);
        pack(in.values(), group, column, s.packedValues);
        copyRows(in.keys(), group.firstEntry(), entries, column, s.keys);
        Arrays.fill(s.dkeys, 0, entries * width, 0f);
        Arrays.fill(s.dvalues, 0, entries * width, 0f);
        int firstHead = kvHead * in.headsPerKey();
        for (int head = firstHead; head < firstHead + in.headsPerKey(); head++) {
            for (int row = group.firstRow(); row < group.endRow(); row += ROWS) {
                tile(group, head, row, Math.min(ROWS, group.endRow() - row), s);
            }
        }
        addRows(gradients.dkeys, group.firstEntry(), entries, column, s.dkeys);
        addRows(gradients.dvalues, group.firstEntry(), entries, column, s.dvalues);
    }

    private void pack(CpuTensor x, AttentionInput.Group group, int column, float[] target) {
        int stride = x.columns();
        for (int i = 0; i < group.entries(); i += Tiles.WIDTH) {
            int from = x.rowOffset(group.firstEntry() + i) + column;
            PackedPanels.packTransposed(
                    x.values(), from, stride, Math.min(Tiles.WIDTH, group.entries() - i), headDim, target, i * headDim);
        }
    }

    /** Copies a head of some rows; columns from headDim to width stay unspecified and only reach results that nobody reads. */
    private void copyRows(CpuTensor x, int firstRow, int rows, int column, float[] target) {
        for (int i = 0; i < rows; i++) {
            System.arraycopy(x.values(), x.rowOffset(firstRow + i) + column, target, i * width, headDim);
        }
    }

    private void addRows(CpuTensor x, int firstRow, int rows, int column, float[] from) {
        for (int i = 0; i < rows; i++) {
            int at = x.rowOffset(firstRow + i) + column;
            Elementwise.add(x.values(), at, x.values(), at, from, i * width, 1f, headDim);
        }
    }

    private void tile(AttentionInput.Group group, int head, int firstRow, int rows, Scratch s) {
        int column = head * headDim;
        copyRows(in.queries(), firstRow, rows, column, s.queries);
        copyRows(gradients.dout, firstRow, rows, column, s.dout);
        Arrays.fill(s.dqueries, 0f);
        int lowest = Integer.MAX_VALUE;
        int highest = 0;
        float[] outDotGradient = new float[ROWS];
        for (int i = 0; i < rows; i++) {
            int first = in.start().get(firstRow + i) - group.firstEntry();
            int last = in.end().get(firstRow + i) - group.firstEntry();
            if (first < last) {
                lowest = Math.min(lowest, first);
                highest = Math.max(highest, last);
            }
            outDotGradient[i] = Elementwise.dot(
                    gradients.out.values(), gradients.out.rowOffset(firstRow + i) + column, s.dout, i * width, headDim);
        }
        for (int key = lowest / Tiles.WIDTH * Tiles.WIDTH; key < highest; key += KEYS) {
            int keys = Math.min(KEYS, highest - key);
            block(s.queries, s.packedKeys, s.p, rows, key, keys);
            block(s.dout, s.packedValues, s.ds, rows, key, keys);
            for (int i = 0; i < rows; i++) {
                int row = firstRow + i;
                int first = Math.clamp(in.start().get(row) - group.firstEntry() - key, 0, keys);
                int last = Math.clamp(in.end().get(row) - group.firstEntry() - key, first, keys);
                float statistics = gradients.logSumExp.values()[gradients.logSumExp.rowOffset(row) + head];
                weights(s.p, s.ds, i * KEYS, first, last, keys, scale, statistics, outDotGradient[i]);
            }
            keyGradients(s.p, s.dout, s.dvalues, rows, key, keys);
            keyGradients(s.ds, s.queries, s.dkeys, rows, key, keys);
            queryGradients(s.ds, s.keys, s.dqueries, rows, key, keys);
        }
        for (int i = 0; i < rows; i++) {
            CpuTensor dq = gradients.dqueries;
            System.arraycopy(s.dqueries, i * width, dq.values(), dq.rowOffset(firstRow + i) + column, headDim);
        }
    }

    /** {@code out [rows, KEYS] = x [rows, width] @ packed}, for the keys from {@code key}. */
    private void block(float[] x, float[] packed, float[] out, int rows, int key, int keys) {
        for (int row = 0; row < rows; ) {
            int height = Tiles.height(rows - row);
            for (int i = 0; i < keys; i += Tiles.WIDTH) {
                int po = (key + i) * headDim;
                Tiles.multiply(
                        height,
                        x,
                        row * width,
                        width,
                        1,
                        packed,
                        po,
                        Tiles.WIDTH,
                        out,
                        row * KEYS + i,
                        KEYS,
                        headDim,
                        false);
            }
            row += height;
        }
    }

    /** {@code out [keys, width] += weights [rows, KEYS]^T @ x [rows, width]}, for the keys from {@code key}. */
    private void keyGradients(float[] weights, float[] x, float[] out, int rows, int key, int keys) {
        for (int i = 0; i < keys; ) {
            int height = Tiles.height(keys - i);
            for (int d = 0; d < width; d += Tiles.WIDTH) {
                Tiles.multiply(height, weights, i, 1, KEYS, x, d, width, out, (key + i) * width + d, width, rows, true);
            }
            i += height;
        }
    }

    /** {@code out [rows, width] += weights [rows, KEYS] @ x [keys, width]}, for the keys from {@code key}. */
    private void queryGradients(float[] weights, float[] x, float[] out, int rows, int key, int keys) {
        for (int row = 0; row < rows; ) {
            int height = Tiles.height(rows - row);
            for (int d = 0; d < width; d += Tiles.WIDTH) {
                Tiles.multiply(
                        height,
                        weights,
                        row * KEYS,
                        KEYS,
                        1,
                        x,
                        key * width + d,
                        width,
                        out,
                        row * width + d,
                        width,
                        keys,
                        true);
            }
            row += height;
        }
    }

    /** From scores and {@code dp} to {@code p} and {@code ds} for the keys {@code first .. last} of a row, 0 for the others. */
    private static void weights(
            float[] p,
            float[] ds,
            int at,
            int first,
            int last,
            int keys,
            float scale,
            float logSumExp,
            float outDotGradient) {
        for (int i = first / Vectors.LANES * Vectors.LANES;
                i < last;
                i += Vectors.LANES) { // whole vectors: KEYS is a multiple of them
            FloatVector score = FloatVector.fromArray(Vectors.SPECIES, p, at + i);
            FloatVector weight = VectorMath.exp(score.mul(scale).sub(logSumExp));
            weight.intoArray(p, at + i);
            FloatVector dp = FloatVector.fromArray(Vectors.SPECIES, ds, at + i);
            weight.mul(dp.sub(outDotGradient)).mul(scale).intoArray(ds, at + i);
        }
        Arrays.fill(p, at, at + first, 0f);
        Arrays.fill(ds, at, at + first, 0f);
        Arrays.fill(p, at + last, at + keys, 0f);
        Arrays.fill(ds, at + last, at + keys, 0f);
    }
}
