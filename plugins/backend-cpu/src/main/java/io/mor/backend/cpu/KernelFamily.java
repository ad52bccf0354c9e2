package io.mor.backend.cpu;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;

/** Kernels that belong together, and the loops in which they are written. */
abstract class KernelFamily {

    static final int ELEMENTS_PER_PART = 1 << 14; // some microseconds of work

    final Memory memory;
    final Workers workers;

    KernelFamily(Memory memory, Workers workers) {
        this.memory = memory;
        this.workers = workers;
    }

    final CpuTensor of(Tensor tensor) {
        return memory.of(tensor);
    }

    final CpuInts of(IntTensor ints) {
        return memory.of(ints);
    }

    /** A tensor that the kernel is about to write. */
    final CpuTensor written(Tensor tensor) {
        CpuTensor t = memory.of(tensor);
        t.storage().written();
        return t;
    }

    final int rows(Extent extent) {
        if (extent.isExact()) {
            return extent.bound();
        }
        int count = of(extent.count().get()).get(0);
        if (count < 0 || count > extent.bound()) {
            throw new IllegalStateException(
                    "a count of " + count + " rows is not between 0 and the bound " + extent.bound());
        }
        return count;
    }

    final int rows(Tensor tensor) {
        return rows(tensor.extent());
    }

    static int checkedColumn(CpuInts index, int i, CpuTensor x) {
        int column = index.get(i);
        if (column < 0 || column >= x.columns()) {
            throw new IndexOutOfBoundsException("element " + i + " names column " + column + " of a " + x);
        }
        return column;
    }

    final float scalar(Tensor x) {
        CpuTensor t = of(x);
        return t.values()[t.offset()];
    }

    final void setScalar(Tensor out, double value) {
        CpuTensor o = written(out);
        o.values()[o.offset()] = (float) value;
    }

    final void elements(int n, Workers.Span span) {
        workers.split(n, ELEMENTS_PER_PART, span);
    }

    /** Something that is done for one row. */
    @FunctionalInterface
    interface Row {
        void run(int row);
    }

    /** One number computed from one row. */
    @FunctionalInterface
    interface RowValue {
        float of(int row);
    }

    /** Does it for every row; {@code work} in elements says how much there is to do in each. */
    final void eachRow(int rows, int work, Row row) {
        workers.split(rows, 1 + ELEMENTS_PER_PART / work, (from, to) -> {
            for (int i = from; i < to; i++) {
                row.run(i);
            }
        });
    }

    final void rowResult(Tensor out, int work, boolean accumulate, RowValue value) {
        CpuTensor o = written(out);
        eachRow(rows(out), work, i -> {
            int at = o.offset() + i;
            float result = value.of(i);
            o.values()[at] = accumulate ? o.values()[at] + result : result;
        });
    }
}
