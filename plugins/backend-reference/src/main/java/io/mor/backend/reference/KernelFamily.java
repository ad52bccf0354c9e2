package io.mor.backend.reference;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;

/** Kernels that belong together, and the loops in which they are written. */
abstract class KernelFamily {

    private final Memory memory;

    KernelFamily(Memory memory) {
        this.memory = memory;
    }

    final ReferenceTensor of(Tensor tensor) {
        return memory.of(tensor);
    }

    final ReferenceInts of(IntTensor tensor) {
        return memory.of(tensor);
    }

    final int rows(Extent extent) {
        return memory.rows(extent);
    }

    final int rows(Tensor tensor) {
        return memory.rows(tensor.extent());
    }

    /** The value of one element of a result. */
    @FunctionalInterface
    interface Element {
        double at(int row, int column);
    }

    /** A term of a sum. */
    @FunctionalInterface
    interface Term {
        double at(int index);
    }

    /** Sets, or adds to, every element of the rows in use. */
    final void eachElement(Tensor out, boolean accumulate, Element element) {
        ReferenceTensor o = of(out);
        int rows = rows(out);
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < o.columns(); column++) {
                o.put(row, column, element.at(row, column), accumulate);
            }
        }
    }

    static double sum(int terms, Term term) {
        double total = 0;
        for (int i = 0; i < terms; i++) {
            total += term.at(i);
        }
        return total;
    }
}
