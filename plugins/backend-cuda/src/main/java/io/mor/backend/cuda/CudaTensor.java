package io.mor.backend.cuda;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;

/** Rows of floats in device memory, from an address on; the memory is shared by views. */
final class CudaTensor implements Tensor {

    final Lifetime lifetime;
    final long address;
    final boolean isView;
    private final Extent extent;
    private final int columns;

    CudaTensor(Lifetime lifetime, long address, boolean isView, Extent extent, int columns) {
        this.lifetime = lifetime;
        this.address = address;
        this.isView = isView;
        this.extent = extent;
        this.columns = columns;
    }

    @Override
    public Extent extent() {
        return extent;
    }

    @Override
    public int columns() {
        return columns;
    }

    /** Elements up to the bound. */
    long size() {
        return (long) rows() * columns;
    }

    @Override
    public String toString() {
        return "tensor [" + rows() + ", " + columns + "]";
    }
}
