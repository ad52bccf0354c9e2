package io.mor.backend.cpu;

import static io.mor.backend.cpu.AttentionLoops.QUERIES;

import io.mor.api.tensor.AttentionShape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Attention of query rows over ranges of entries (spec 4): all scores of a row, their softmax, the mixture of the values.
 *
 * <p>Rows of a group (a sequence in training or prefill) go in tiles of {@link AttentionLoops#QUERIES} over keys that are packed once; a row
 * alone (decoding) reads keys and values where they are. A row's result depends on its own entries only and has the same bits either way,
 * whether entries are neighbouring rows or come through a table.
 */
final class AttentionForward {

    private static final int ROWS_PER_PART = 16;
    private static final int ENTRIES_PER_BLOCK =
            64; // keys or values of all heads that stay in the first or second-level cache
    private static final double SMALL = 2e5; // operations that are not worth a second thread

    private final AttentionInput in;
    private final AttentionShape shape;
    private final int headDim;
    private final float scale;
    private final Workers workers;
    private final Memory memory;
    private final CpuTensor out;
    private final CpuTensor logSumExp;

    AttentionForward(AttentionInput in, Workers workers, Memory memory, CpuTensor out, CpuTensor logSumExp) {
        this.in = in;
        this.shape = in.shape();
        this.headDim = shape.headDim();
        this.scale = in.scale();
        this.workers = workers;
        this.memory = memory;
        this.out = out;
        this.logSumExp = logSumExp;
    }

    /**
     * Some rows of a group and one head, or one row and some heads.
     *
     * @param packedAt where the group's packed keys are; negative for one row
     * @param valuesAt where the group's gathered values are, if there is a table
     */
    private record Task(
            AttentionInput.Group group, int packedAt, int valuesAt, int firstRow, int endRow, int head, int endHead) {

        boolean isAlone() {
            return packedAt < 0;
        }
    }

    /** Scratch memory of a thread. */
    private static final class Scratch {

        private final float[] scores; // one row for each query of a tile, or for each head of a query
        private final float[] partial = new float[Vectors.LANES / 2 * QUERIES * Vectors.LANES];
        private final float[] totals;
        private final int[] queryOffsets = new int[QUERIES];
        private final int[] outOffsets = new int[QUERIES];

        Scratch(int stride, int rows) {
            scores = new float[rows * stride];
            totals = new float[rows];
        }
    }

    void run() {
        List<Task> tasks = new ArrayList<>();
        long packedSize = 0;
        long valuesSize = 0;
        int longest = 0;
        double work = 0;
        List<Task> packs = new ArrayList<>();
        int headsPerTask = headsPerTask();
        for (AttentionInput.Group group : in.groups()) {
            longest = Math.max(longest, group.entries());
            work += 4.0 * group.rows() * group.entries() * shape.queryWidth();
            if (group.rows() < QUERIES || group.entries() == 0) {
                for (int row = group.firstRow(); row < group.endRow(); row++) {
                    for (int head = 0; head < shape.heads(); head += headsPerTask) {
                        tasks.add(new Task(group, -1, -1, row, row + 1, head, head + headsPerTask));
                    }
                }
                continue;
            }
            int packedAt = Math.toIntExact(packedSize);
            int valuesAt = Math.toIntExact(valuesSize);
            packedSize += (long) PackedPanels.panels(group.entries()) * Tiles.WIDTH * shape.kvWidth();
            valuesSize += in.entryRows().isPresent() ? (long) group.entries() * shape.kvWidth() : 0;
            for (int head = 0; head < shape.heads(); head++) {
                if (head % in.headsPerKey() == 0) {
                    packs.add(new Task(group, packedAt, valuesAt, group.firstRow(), group.endRow(), head, head + 1));
                }
                for (int row = group.firstRow(); row < group.endRow(); row += ROWS_PER_PART) {
                    tasks.add(new Task(
                            group,
                            packedAt,
                            valuesAt,
                            row,
                            Math.min(group.endRow(), row + ROWS_PER_PART),
                            head,
                            head + 1));
                }
            }
        }
        float[] packedKeys = memory.take(packedSize, "packed keys");
        float[] gatheredValues = memory.take(valuesSize, "gathered values");
        int stride = Vectors.roundUp(longest) + Tiles.WIDTH; // room for AttentionLoops.pad
        Scratch[] scratch = new Scratch[workers.threads()];
        boolean isSmall = work < SMALL;
        workers.run(isSmall, packs.size(), (thread, i) -> pack(packs.get(i), packedKeys, gatheredValues));
        workers.run(isSmall, tasks.size(), (thread, i) -> {
            if (scratch[thread] == null) {
                scratch[thread] = new Scratch(stride, Math.max(QUERIES, shape.heads()));
            }
            Task task = tasks.get(i);
            if (task.isAlone()) {
                alone(task, scratch[thread], stride);
            } else {
                tiles(task, packedKeys, gatheredValues, scratch[thread], stride);
            }
        });
        memory.giveBack(packedKeys);
        memory.giveBack(gatheredValues);
    }

    /** Heads of a row that one task takes: as many as leave each thread something to do, since keys and values are then read in one go. */
    private int headsPerTask() {
        int wanted = 2 * workers.threads();
        return in.rows() >= wanted ? shape.heads() : in.rows() * shape.kvHeads() >= wanted ? in.headsPerKey() : 1;
    }

    private int kvColumn(int head) {
        return head / in.headsPerKey() * headDim;
    }

    // ---- one row

    private void alone(Task task, Scratch scratch, int stride) {
        float[] weights = scratch.scores;
        int row = task.firstRow;
        int first = in.start().get(row);
        int count = in.end().get(row) - first;
        for (int i = 0; i < count; ) {
            int keyRow = in.keyRow(first + i);
            int n = neighbours(first + i, Math.min(count - i, ENTRIES_PER_BLOCK), keyRow);
            for (int head = task.head; head < task.endHead; head++) {
                int ko = in.keys().rowOffset(keyRow) + kvColumn(head);
                int qo = in.queries().rowOffset(row) + head * headDim;
                int so = (head - task.head) * stride + i;
                AttentionLoops.scores(
                        in.queries().values(),
                        qo,
                        in.keys().values(),
                        ko,
                        in.keys().columns(),
                        n,
                        headDim,
                        scale,
                        weights,
                        so);
            }
            i += n;
        }
        float[] totals = scratch.totals;
        for (int head = task.head; head < task.endHead; head++) {
            totals[head - task.head] = softmax(head, row, weights, (head - task.head) * stride, count);
            int oo = out.rowOffset(row) + head * headDim;
            Arrays.fill(out.values(), oo, oo + headDim, 0f);
        }
        for (int i = 0; i < count; ) {
            int valueRow = in.keyRow(first + i);
            int n = neighbours(first + i, Math.min(count - i, ENTRIES_PER_BLOCK), valueRow);
            for (int head = task.head; head < task.endHead; head++) {
                int vo = in.values().rowOffset(valueRow) + kvColumn(head);
                int oo = out.rowOffset(row) + head * headDim;
                int wo = (head - task.head) * stride + i;
                AttentionLoops.mix(
                        out.values(),
                        oo,
                        weights,
                        wo,
                        in.values().values(),
                        vo,
                        in.values().columns(),
                        n,
                        headDim);
            }
            i += n;
        }
        for (int head = task.head; head < task.endHead; head++) {
            finish(row, head, count, totals[head - task.head]);
        }
    }

    /** How many of up to {@code limit} entries from {@code entry} are neighbouring rows from {@code row}; a page of the pool holds several. */
    private int neighbours(int entry, int limit, int row) {
        if (in.entryRows().isEmpty()) {
            return limit;
        }
        CpuInts table = in.entryRows().get();
        int n = 1;
        while (n < limit && table.get(entry + n) == row + n) {
            n++;
        }
        return n;
    }

    /** Turns scores into weights that still have to be divided by the sum that is returned; sets the statistics. */
    private float softmax(int head, int row, float[] weights, int wo, int count) {
        int at = logSumExp.rowOffset(row) + head;
        if (count <= 0) {
            logSumExp.values()[at] = Float.NEGATIVE_INFINITY;
            return 1;
        }
        AttentionLoops.pad(weights, wo + count);
        int padded = Vectors.roundUp(count);
        float largest = Elementwise.largest(weights, wo, padded);
        float total = Elementwise.expOfDifference(weights, wo, weights, wo, largest, padded);
        logSumExp.values()[at] = (float) (largest + Math.log(total));
        return total;
    }

    private void finish(int row, int head, int count, float total) {
        int oo = out.rowOffset(row) + head * headDim;
        if (count > 0) {
            Elementwise.scale(out.values(), oo, out.values(), oo, 1 / total, false, headDim);
        }
    }

    // ---- rows of a group

    /** Packs the keys of a group for one key-value head, and gathers its values if there is a table. */
    private void pack(Task task, float[] packedKeys, float[] gatheredValues) {
        AttentionInput.Group group = task.group;
        int column = kvColumn(task.head);
        int stride = in.keys().columns();
        int entries = group.entries();
        float[] rows = in.keys().values();
        int ro = in.keys().rowOffset(in.entryRows().isPresent() ? 0 : group.firstEntry()) + column;
        if (in.entryRows().isPresent()) {
            rows = new float[entries * headDim];
            ro = 0;
            stride = headDim;
            int vo = task.valuesAt + column / headDim * entries * headDim;
            for (int i = 0; i < entries; i++) {
                int row = in.keyRow(group.firstEntry() + i);
                System.arraycopy(in.keys().values(), in.keys().rowOffset(row) + column, rows, i * headDim, headDim);
                System.arraycopy(
                        in.values().values(),
                        in.values().rowOffset(row) + column,
                        gatheredValues,
                        vo + i * headDim,
                        headDim);
            }
        }
        int target = packedAt(task);
        for (int i = 0; i < entries; i += Tiles.WIDTH) {
            PackedPanels.packTransposed(
                    rows,
                    ro + i * stride,
                    stride,
                    Math.min(Tiles.WIDTH, entries - i),
                    headDim,
                    packedKeys,
                    target + i * headDim);
        }
    }

    private int packedAt(Task task) {
        int kvHead = task.head / in.headsPerKey();
        return task.packedAt + kvHead * PackedPanels.panels(task.group.entries()) * Tiles.WIDTH * headDim;
    }

    private void tiles(Task task, float[] packedKeys, float[] gatheredValues, Scratch scratch, int stride) {
        for (int row = task.firstRow; row < task.endRow; row += QUERIES) {
            tile(task, row, packedKeys, gatheredValues, scratch, stride);
        }
    }

    private void tile(
            Task task, int firstRow, float[] packedKeys, float[] gatheredValues, Scratch scratch, int stride) {
        int base = task.group.firstEntry();
        int rows = Math.min(QUERIES, task.endRow - firstRow);
        int lowest = Integer.MAX_VALUE;
        int highest = Integer.MIN_VALUE;
        int commonFirst = 0;
        int commonEnd = Integer.MAX_VALUE;
        for (int row = firstRow; row < firstRow + rows; row++) {
            int first = in.start().get(row) - base;
            int last = Math.max(first, in.end().get(row) - base);
            if (first < last) {
                lowest = Math.min(lowest, first);
                highest = Math.max(highest, last);
            }
            commonFirst = Math.max(commonFirst, first);
            commonEnd = Math.min(commonEnd, last);
        }
        float[] scores = scratch.scores;
        float[] q = in.queries().values();
        int[] qo = scratch.queryOffsets;
        for (int i = 0; i < QUERIES; i++) {
            qo[i] = in.queries().rowOffset(firstRow + Math.min(i, rows - 1)) + task.head * headDim;
        }
        int packed = packedAt(task);
        for (int i = lowest / Vectors.LANES * Vectors.LANES; i < highest; i += Vectors.LANES) {
            int ko = packed + i / Tiles.WIDTH * Tiles.WIDTH * headDim + i % Tiles.WIDTH;
            AttentionLoops.scores(
                    q, qo[0], qo[1], qo[2], qo[3], packedKeys, ko, headDim, scale, scratch.partial, scores, i, stride);
        }
        float[] totals = scratch.totals;
        for (int i = 0; i < rows; i++) {
            int row = firstRow + i;
            int first = in.start().get(row) - base;
            totals[i] =
                    softmax(task.head, row, scores, i * stride + first, in.end().get(row) - base - first);
            int oo = out.rowOffset(row) + task.head * headDim;
            Arrays.fill(out.values(), oo, oo + headDim, 0f);
        }
        mixTile(task, firstRow, rows, commonFirst, commonEnd, gatheredValues, scratch, stride);
        for (int i = 0; i < rows; i++) {
            finish(
                    firstRow + i,
                    task.head,
                    in.end().get(firstRow + i) - in.start().get(firstRow + i),
                    totals[i]);
        }
    }

    /** Mixes the values: entries before those that all rows see, those, and those after, ascending for each row. */
    private void mixTile(
            Task task,
            int firstRow,
            int rows,
            int commonFirst,
            int commonEnd,
            float[] gatheredValues,
            Scratch scratch,
            int stride) {
        int base = task.group.firstEntry();
        int kvHead = task.head / in.headsPerKey();
        boolean isGathered = in.entryRows().isPresent();
        float[] values = isGathered ? gatheredValues : in.values().values();
        int vo = isGathered
                ? task.valuesAt + kvHead * task.group.entries() * headDim
                : in.values().rowOffset(base) + kvHead * headDim;
        int valueStride = isGathered ? headDim : in.values().columns();
        float[] o = out.values();
        boolean together = rows == QUERIES && commonFirst < commonEnd;
        int[] oo = scratch.outOffsets;
        for (int i = 0; i < rows; i++) {
            int row = firstRow + i;
            oo[i] = out.rowOffset(row) + task.head * headDim;
            int first = in.start().get(row) - base;
            int last = together ? commonFirst : in.end().get(row) - base;
            AttentionLoops.mix(
                    o,
                    oo[i],
                    scratch.scores,
                    i * stride + first,
                    values,
                    vo + first * valueStride,
                    valueStride,
                    last - first,
                    headDim);
        }
        if (!together) {
            return;
        }
        AttentionLoops.mix(
                o,
                oo[0],
                oo[1],
                oo[2],
                oo[3],
                scratch.scores,
                commonFirst,
                stride,
                values,
                vo + commonFirst * valueStride,
                valueStride,
                commonEnd - commonFirst,
                headDim);
        for (int i = 0; i < rows; i++) {
            int last = in.end().get(firstRow + i) - base;
            AttentionLoops.mix(
                    o,
                    oo[i],
                    scratch.scores,
                    i * stride + commonEnd,
                    values,
                    vo + commonEnd * valueStride,
                    valueStride,
                    last - commonEnd,
                    headDim);
        }
    }
}
