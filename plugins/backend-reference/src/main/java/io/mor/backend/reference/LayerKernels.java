package io.mor.backend.reference;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;

/** The matrix product, the rotary embedding, and attention with what it reaches. */
final class LayerKernels extends KernelFamily {

    LayerKernels(Memory memory) {
        super(memory);
    }

    void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        int inner = transposeA ? rows(a) : a.columns();
        eachElement(
                out,
                accumulate,
                (row, column) -> sum(
                        inner,
                        k -> (transposeA ? left.get(k, row) : left.get(row, k))
                                * (transposeB ? right.get(column, k) : right.get(k, column))));
    }

    void rope(Tensor out, Tensor x, IntTensor position, int headDim, double theta, boolean inverse) {
        ReferenceTensor o = of(out);
        ReferenceTensor from = of(x);
        ReferenceInts positions = of(position);
        for (int row = 0; row < rows(out); row++) {
            for (int head = 0; head < from.columns(); head += headDim) {
                for (int i = 0; i < headDim / 2; i++) {
                    double angle = positions.get(row) * StrictMath.pow(theta, -2.0 * i / headDim);
                    double cosine = StrictMath.cos(angle);
                    double sine = inverse ? -StrictMath.sin(angle) : StrictMath.sin(angle);
                    double first = from.get(row, head + i);
                    double second = from.get(row, head + i + headDim / 2);
                    o.set(row, head + i, first * cosine - second * sine);
                    o.set(row, head + i + headDim / 2, second * cosine + first * sine);
                }
            }
        }
    }

    void attention(
            Tensor out,
            Tensor logSumExp,
            Tensor queries,
            Tensor keys,
            Tensor values,
            AttentionRanges ranges,
            AttentionShape shape) {
        attentionKernels(queries, keys, values, ranges, shape).forward(of(out), of(logSumExp), rows(out));
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
        attentionKernels(queries, keys, values, ranges, shape)
                .backward(of(dqueries), of(dkeys), of(dvalues), of(out), of(logSumExp), of(dout), rows(dqueries));
    }

    private AttentionKernels attentionKernels(
            Tensor queries, Tensor keys, Tensor values, AttentionRanges ranges, AttentionShape shape) {
        return new AttentionKernels(
                of(queries),
                of(keys),
                of(values),
                of(ranges.start()),
                of(ranges.end()),
                ranges.entryRows().map(this::of),
                shape);
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
        ReferenceInts first = of(start);
        ReferenceInts last = of(end);
        ReferenceInts sequences = of(querySequence);
        ReferenceInts positions = of(queryPosition);
        ReferenceInts offsets = of(keyOffsets);
        ReferenceInts keys = of(keyPosition);
        for (int row = 0; row < rows(queries); row++) {
            int from = offsets.get(sequences.get(row));
            int to = offsets.get(sequences.get(row) + 1);
            int position = positions.get(row);
            first.set(row, window == 0 ? from : firstAfter(keys, from, to, position - window));
            last.set(row, firstAfter(keys, from, to, position));
        }
    }

    /** The first key in {@code from .. to} whose position is greater than {@code position}, or {@code to}. */
    private static int firstAfter(ReferenceInts keyPosition, int from, int to, int position) {
        int key = from;
        while (key < to && keyPosition.get(key) <= position) {
            key++;
        }
        return key;
    }
}
