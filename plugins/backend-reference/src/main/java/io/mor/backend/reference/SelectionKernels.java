package io.mor.backend.reference;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Reduction;
import io.mor.api.tensor.Tensor;
import java.util.stream.IntStream;

/** Choosing rows, counting them, and drawing numbers for them. */
final class SelectionKernels extends KernelFamily {

    SelectionKernels(Memory memory) {
        super(memory);
    }

    void topKMask(Tensor out, Tensor scores, IntTensor offsets, IntTensor k) {
        ReferenceTensor o = of(out);
        ReferenceTensor score = of(scores);
        ReferenceInts groupStart = of(offsets);
        ReferenceInts wanted = of(k);
        eachElement(out, false, (row, ignored) -> 0);
        for (int group = 0; group < groupStart.length() - 1; group++) {
            IntStream.range(groupStart.get(group), groupStart.get(group + 1))
                    .boxed()
                    .sorted((a, b) ->
                            compareRanks(score.get(a, 0), score.get(b, 0))) // stable: the lower row of equals first
                    .limit(wanted.get(group))
                    .forEach(row -> o.set(row, 0, 1));
        }
    }

    private static int compareRanks(double a, double b) {
        return Functions.ranksAbove(a, b) ? -1 : Functions.ranksAbove(b, a) ? 1 : 0;
    }

    void reduceGroups(Tensor out, Reduction reduction, Tensor x, IntTensor offsets) {
        ReferenceTensor from = of(x);
        ReferenceInts groupStart = of(offsets);
        eachElement(out, false, (group, ignored) -> {
            double result = switch (reduction) {
                case SUM -> 0;
                case MAXIMUM -> Double.NEGATIVE_INFINITY;
                case MINIMUM -> Double.POSITIVE_INFINITY;
            };
            for (int row = groupStart.get(group); row < groupStart.get(group + 1); row++) {
                double value = from.get(row, 0);
                result = switch (reduction) {
                    case SUM -> result + value;
                    case MAXIMUM -> Math.max(result, value);
                    case MINIMUM -> Math.min(result, value);
                };
            }
            return result;
        });
    }

    void compact(IntTensor index, IntTensor count, Tensor mask) {
        ReferenceInts selected = of(index);
        ReferenceTensor marks = of(mask);
        int found = 0;
        for (int row = 0; row < rows(mask); row++) {
            if (marks.get(row, 0) > 0) {
                selected.set(found++, row);
            }
        }
        of(count).set(0, found);
    }

    void compactOffsets(IntTensor out, IntTensor index, Extent selected, IntTensor offsets) {
        ReferenceInts o = of(out);
        ReferenceInts rows = of(index);
        ReferenceInts groupStart = of(offsets);
        for (int group = 0; group < groupStart.length(); group++) {
            int before = 0;
            for (int i = 0; i < rows(selected); i++) {
                if (rows.get(i) < groupStart.get(group)) {
                    before++;
                }
            }
            o.set(group, before);
        }
    }

    void uniformRows(Tensor out, RandomKey key, IntTensor high, IntTensor low) {
        ReferenceInts counterHigh = of(high);
        ReferenceInts counterLow = of(low);
        eachElement(out, false, (row, ignored) -> key.uniform(counterHigh.get(row), counterLow.get(row)));
    }

    void uniform(Tensor out, RandomKey key) {
        eachElement(out, false, (row, column) -> key.uniform(0, (long) row * out.columns() + column));
    }
}
