package io.mor.backend.cpu;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;

/** A matrix in a {@link Storage}, from element {@code offset}, rows without gaps. */
record CpuTensor(Memory memory, Storage storage, int offset, Extent extent, int columns, boolean isView)
        implements Tensor {

    float[] values() {
        return storage.values();
    }

    /** Elements up to the bound. */
    int size() {
        return rows() * columns;
    }

    int rowOffset(int row) {
        return offset + row * columns;
    }

    @Override
    public boolean equals(Object other) {
        return this == other; // a handle: identity is object identity
    }

    @Override
    public int hashCode() {
        return System.identityHashCode(this);
    }

    @Override
    public String toString() {
        return (isView ? "view [" : "tensor [") + rows() + ", " + columns + "]";
    }
}
