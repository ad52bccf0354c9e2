package io.mor.backend.reference;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;

/** Kernels that read or write rows and columns by index. */
final class GatherKernels extends KernelFamily {

    GatherKernels(Memory memory) {
        super(memory);
    }

    void gatherRows(Tensor out, Tensor x, IntTensor index, boolean accumulate) {
        ReferenceTensor from = of(x);
        ReferenceInts source = of(index);
        eachElement(out, accumulate, (row, column) -> from.get(source.get(row), column));
    }

    void scatterRows(Tensor out, IntTensor index, Tensor x) {
        ReferenceTensor o = of(out);
        ReferenceInts target = of(index);
        ReferenceTensor from = of(x);
        for (int row = 0; row < rows(x); row++) {
            if (target.get(row) < 0) {
                continue;
            }
            for (int column = 0; column < from.columns(); column++) {
                o.set(target.get(row), column, from.get(row, column));
            }
        }
    }

    void scatterAddRows(Tensor out, IntTensor index, Tensor x) {
        ReferenceTensor o = of(out);
        ReferenceInts target = of(index);
        ReferenceTensor from = of(x);
        for (int row = 0; row < rows(x); row++) {
            for (int column = 0; column < from.columns(); column++) {
                o.add(target.get(row), column, from.get(row, column));
            }
        }
    }

    void pickColumn(Tensor out, Tensor x, IntTensor column) {
        ReferenceTensor from = of(x);
        ReferenceInts picked = of(column);
        eachElement(out, false, (row, ignored) -> from.get(row, picked.get(row)));
    }

    void pickColumnBackward(Tensor dx, IntTensor column, Tensor dy) {
        ReferenceTensor d = of(dx);
        ReferenceInts picked = of(column);
        ReferenceTensor gradient = of(dy);
        for (int row = 0; row < rows(dy); row++) {
            d.add(row, picked.get(row), gradient.get(row, 0));
        }
    }

    void gatherInts(IntTensor out, IntTensor table, IntTensor index, Extent extent) {
        ReferenceInts o = of(out);
        ReferenceInts from = of(table);
        ReferenceInts source = of(index);
        for (int row = 0; row < rows(extent); row++) {
            o.set(row, from.get(source.get(row)));
        }
    }

    void toColumn(Tensor out, IntTensor values) {
        ReferenceInts from = of(values);
        eachElement(out, false, (row, ignored) -> from.get(row));
    }
}
