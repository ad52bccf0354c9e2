package io.mor.backend.cpu;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Reduction;
import io.mor.api.tensor.Tensor;

/** Choosing rows, counting them, and drawing numbers for them. */
final class SelectionKernels extends KernelFamily {

    SelectionKernels(Memory memory, Workers workers) {
        super(memory, workers);
    }

    void topKMask(Tensor out, Tensor scores, IntTensor offsets, IntTensor k) {
        CpuTensor o = written(out);
        CpuTensor a = of(scores);
        CpuInts groups = of(offsets);
        CpuInts wanted = of(k);
        workers.run(
                groups.length() - 1,
                (thread, group) -> Selection.topK(
                        o.values(),
                        o.offset(),
                        a.values(),
                        a.offset(),
                        groups.get(group),
                        groups.get(group + 1),
                        wanted.get(group)));
    }

    void reduceGroups(Tensor out, Reduction reduction, Tensor x, IntTensor offsets) {
        CpuTensor a = of(x);
        CpuInts groups = of(offsets);
        rowResult(
                out,
                64,
                false,
                i -> Selection.reduce(
                        reduction, a.values(), a.offset() + groups.get(i), a.offset() + groups.get(i + 1)));
    }

    void compact(IntTensor index, IntTensor count, Tensor mask) {
        CpuInts selected = of(index);
        CpuTensor marks = of(mask);
        int rows = rows(mask);
        int found = 0;
        for (int row = 0; row < rows; row++) {
            if (marks.values()[marks.offset() + row] > 0) {
                selected.set(found++, row);
            }
        }
        of(count).set(0, found);
    }

    void compactOffsets(IntTensor out, IntTensor index, Extent selected, IntTensor offsets) {
        CpuInts o = of(out);
        CpuInts rows = of(index);
        CpuInts groups = of(offsets);
        int first = rows.offset();
        int end = first + rows(selected);
        for (int group = 0; group < groups.length(); group++) {
            o.set(group, Selection.firstAfter(rows.storage().values(), first, end, groups.get(group) - 1) - first);
        }
    }

    void uniformRows(Tensor out, RandomKey key, IntTensor high, IntTensor low) {
        CpuInts counterHigh = of(high);
        CpuInts counterLow = of(low);
        rowResult(out, 16, false, i -> (float) key.uniform(counterHigh.get(i), counterLow.get(i)));
    }

    void uniform(Tensor out, RandomKey key) {
        CpuTensor o = written(out);
        elements(rows(out) * o.columns(), (from, to) -> {
            for (int i = from; i < to; i++) {
                o.values()[o.offset() + i] = (float) key.uniform(0, i);
            }
        });
    }
}
