package io.mor.backend.cuda;

import io.mor.api.tensor.IntTensor;

/** 32-bit integers in device memory, from an address on; the memory is shared by views. */
final class CudaInts implements IntTensor {

    final Lifetime lifetime;
    final long address;
    final boolean isView;
    private final int length;

    CudaInts(Lifetime lifetime, long address, boolean isView, int length) {
        this.lifetime = lifetime;
        this.address = address;
        this.isView = isView;
        this.length = length;
    }

    @Override
    public int length() {
        return length;
    }

    @Override
    public String toString() {
        return "ints [" + length + "]";
    }
}
