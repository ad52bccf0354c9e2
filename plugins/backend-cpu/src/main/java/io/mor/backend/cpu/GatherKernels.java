package io.mor.backend.cpu;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.Objects;
import java.util.Optional;

/** Kernels that read or write rows and columns by index. */
final class GatherKernels extends KernelFamily {

    private final ElementwiseKernels elementwise;

    GatherKernels(Memory memory, Workers workers, ElementwiseKernels elementwise) {
        super(memory, workers);
        this.elementwise = elementwise;
    }

    void gatherRows(Tensor out, Tensor x, IntTensor index, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuInts source = of(index);
        int columns = o.columns();
        eachRow(rows(out), columns, i -> {
            int from = a.rowOffset(checkedRow(source, i, a));
            if (accumulate) {
                Elementwise.add(o.values(), o.rowOffset(i), o.values(), o.rowOffset(i), a.values(), from, 1f, columns);
            } else {
                System.arraycopy(a.values(), from, o.values(), o.rowOffset(i), columns);
            }
        });
    }

    void scatterRows(Tensor out, IntTensor index, Tensor x) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuInts target = of(index);
        int columns = o.columns();
        eachRow(rows(x), columns, i -> {
            if (target.get(i) >= 0) { // -1 is what appendEntries gives to a row that is not stored
                System.arraycopy(
                        a.values(), a.rowOffset(i), o.values(), o.rowOffset(checkedRow(target, i, o)), columns);
            }
        });
    }

    void scatterAddRows(Tensor out, IntTensor index, Tensor x) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuInts target = of(index);
        int rows = rows(x);
        int columns = o.columns();
        // indices may repeat, so the threads share the columns, not the rows; each adds its columns in ascending rows
        int vectors = (columns + Vectors.LANES - 1) / Vectors.LANES;
        workers.split(vectors, 1 + ELEMENTS_PER_PART / Math.max(1, rows * Vectors.LANES), (from, to) -> {
            int first = from * Vectors.LANES;
            int n = Math.min(columns, to * Vectors.LANES) - first;
            for (int i = 0; i < rows; i++) {
                int at = o.rowOffset(checkedRow(target, i, o)) + first;
                Elementwise.add(o.values(), at, o.values(), at, a.values(), a.rowOffset(i) + first, 1f, n);
            }
        });
    }

    private static int checkedRow(CpuInts index, int i, CpuTensor x) {
        int row = index.get(i);
        if (row < 0 || row >= x.rows()) {
            throw new IndexOutOfBoundsException("index " + i + " names row " + row + " of a " + x);
        }
        return row;
    }

    void pickColumn(Tensor out, Tensor x, IntTensor column) {
        CpuTensor a = of(x);
        CpuInts picked = of(column);
        rowResult(out, 1, false, i -> a.values()[a.rowOffset(i) + checkedColumn(picked, i, a)]);
    }

    void pickColumnBackward(Tensor dx, IntTensor column, Tensor dy) {
        CpuTensor d = written(dx);
        CpuTensor g = of(dy);
        CpuInts picked = of(column);
        for (int i = 0; i < rows(dy); i++) {
            d.values()[d.rowOffset(i) + checkedColumn(picked, i, d)] += g.values()[g.offset() + i];
        }
    }

    void gatherInts(IntTensor out, IntTensor table, IntTensor index, Extent extent) {
        CpuInts o = of(out);
        CpuInts from = of(table);
        CpuInts source = of(index);
        for (int i = 0; i < rows(extent); i++) {
            o.set(i, from.get(Objects.checkIndex(source.get(i), from.length())));
        }
    }

    void toColumn(Tensor out, IntTensor source) {
        CpuInts from = of(source);
        rowResult(out, 1, false, from::get);
    }

    void addToRows(Tensor out, Tensor base, IntTensor index, Tensor x, Optional<Tensor> gate) {
        if (out != base) {
            elementwise.copy(out, base);
        }
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuInts target = of(index);
        Optional<CpuTensor> gates = gate.map(this::of);
        eachRow(rows(x), o.columns(), i -> {
            float factor =
                    gates.isEmpty() ? 1f : gates.get().values()[gates.get().offset() + i];
            int at = o.rowOffset(checkedRow(target, i, o));
            Elementwise.scale(o.values(), at, a.values(), a.rowOffset(i), factor, true, o.columns());
        });
    }
}
