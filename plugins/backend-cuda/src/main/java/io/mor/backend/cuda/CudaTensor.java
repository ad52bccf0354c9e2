package io.mor.backend.cuda;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;

/** Rows of numbers in device memory, from an address on; the memory is shared by views. */
final class CudaTensor implements Tensor {

    /** What tells the kernels' {@code Values} that elements are in bfloat16. */
    private static final long NARROW_TAG = Long.MIN_VALUE;

    final Lifetime lifetime;
    final long address;
    final boolean isNarrow; // bfloat16, else IEEE 32 bit
    final boolean isView;
    private final Extent extent;
    private final int columns;

    CudaTensor(Lifetime lifetime, long address, boolean isNarrow, boolean isView, Extent extent, int columns) {
        this.lifetime = lifetime;
        this.address = address;
        this.isNarrow = isNarrow;
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

    /** Bytes of one element. */
    int elementBytes() {
        return isNarrow ? 2 : 4;
    }

    /** The address as the kernels' {@code Values} take it. */
    long values() {
        return isNarrow ? address | NARROW_TAG : address;
    }

    /** Whether kernels may take its rows as vectors of 16 bytes of bfloat16. */
    boolean isVectors() {
        return isNarrow && columns % 8 == 0 && address % 16 == 0;
    }

    @Override
    public String toString() {
        return "tensor [" + rows() + ", " + columns + "]" + (isNarrow ? " of bfloat16" : "");
    }
}
