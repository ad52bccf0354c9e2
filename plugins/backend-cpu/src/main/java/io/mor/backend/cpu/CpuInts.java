package io.mor.backend.cpu;

import io.mor.api.tensor.IntTensor;

/** Integers of an {@link IntStorage} from {@code offset}. */
record CpuInts(Memory memory, IntStorage storage, int offset, int length, boolean isView) implements IntTensor {

    int get(int index) {
        return storage.values()[offset + index];
    }

    void set(int index, int value) {
        storage.values()[offset + index] = value;
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
        return (isView ? "view of " : "vector of ") + length + " integers";
    }
}
