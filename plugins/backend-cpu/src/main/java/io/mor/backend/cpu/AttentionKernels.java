package io.mor.backend.cpu;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;

/** Attention, what it reaches, and the rotary embedding. */
final class AttentionKernels extends KernelFamily {

    private RotaryTables rotary = new RotaryTables(2, 1);

    AttentionKernels(Memory memory, Workers workers) {
        super(memory, workers);
    }

    void rope(Tensor out, Tensor x, IntTensor position, int headDim, double theta, boolean inverse) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuInts positions = of(position);
        int rows = rows(out);
        if (!rotary.isFor(headDim, theta)) {
            rotary = new RotaryTables(headDim, theta);
        }
        for (int i = 0; i < rows; i++) {
            rotary.reach(positions.get(i));
        }
        RotaryTables tables = rotary;
        eachRow(
                rows,
                2 * o.columns(),
                i -> tables.rotate(
                        o.values(),
                        o.rowOffset(i),
                        a.values(),
                        a.rowOffset(i),
                        o.columns(),
                        positions.get(i),
                        inverse));
    }

    void attention(
            Tensor out,
            Tensor logSumExp,
            Tensor queries,
            Tensor keys,
            Tensor values,
            AttentionRanges ranges,
            AttentionShape shape) {
        AttentionInput input = attentionInput(queries, keys, values, ranges, shape, rows(out));
        new AttentionForward(input, workers, memory, written(out), written(logSumExp)).run();
    }

    void attentionBackward(
            Tensor dqueries,
            Tensor dkeys,
            Tensor dvalues,
            Tensor queries,
            Tensor keys,
            Tensor values,
            Tensor out,
            Tensor logSumExp,
            Tensor dout,
            AttentionRanges ranges,
            AttentionShape shape) {
        AttentionInput input = attentionInput(queries, keys, values, ranges, shape, rows(dqueries));
        AttentionBackward.Gradients gradients = new AttentionBackward.Gradients(
                written(dqueries), written(dkeys), written(dvalues), of(out), of(logSumExp), of(dout));
        new AttentionBackward(input, workers, memory, gradients).run();
    }

    private AttentionInput attentionInput(
            Tensor queries, Tensor keys, Tensor values, AttentionRanges ranges, AttentionShape shape, int rows) {
        return new AttentionInput(
                shape,
                of(queries),
                of(keys),
                of(values),
                of(ranges.start()),
                of(ranges.end()),
                ranges.entryRows().map(this::of),
                rows);
    }

    void causalRanges(
            IntTensor start,
            IntTensor end,
            IntTensor querySequence,
            IntTensor queryPosition,
            Extent queries,
            IntTensor keyOffsets,
            IntTensor keyPosition,
            int window) {
        CpuInts first = of(start);
        CpuInts last = of(end);
        CpuInts sequences = of(querySequence);
        CpuInts positions = of(queryPosition);
        CpuInts offsets = of(keyOffsets);
        CpuInts keys = of(keyPosition);
        int[] keyPositions = keys.storage().values();
        int base = keys.offset();
        for (int i = 0; i < rows(queries); i++) {
            int from = base + offsets.get(sequences.get(i));
            int to = base + offsets.get(sequences.get(i) + 1);
            int position = positions.get(i);
            first.set(i, (window == 0 ? from : Selection.firstAfter(keyPositions, from, to, position - window)) - base);
            last.set(i, Selection.firstAfter(keyPositions, from, to, position) - base);
        }
    }
}
