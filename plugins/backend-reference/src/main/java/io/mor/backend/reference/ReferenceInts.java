package io.mor.backend.reference;

import io.mor.api.tensor.IntTensor;
import java.util.Objects;

/** Elements of an {@code int[]} that views share, from an offset on. */
final class ReferenceInts implements IntTensor {

    final Lifetime lifetime;
    final int[] values;
    final int offset;
    final boolean isView;
    private final int length;

    ReferenceInts(Lifetime lifetime, int[] values, int offset, boolean isView, int length) {
        this.lifetime = lifetime;
        this.values = values;
        this.offset = offset;
        this.isView = isView;
        this.length = length;
    }

    @Override
    public int length() {
        return length;
    }

    int get(int index) {
        return values[offset + Objects.checkIndex(index, length)];
    }

    void set(int index, int value) {
        values[offset + Objects.checkIndex(index, length)] = value;
    }

    @Override
    public String toString() {
        return "ints [" + length + "]";
    }
}
