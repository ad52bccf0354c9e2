package io.mor.backend.cpu;

/** Allocated integers, which a vector and its views share. */
final class IntStorage {

    private final int[] values;
    private boolean released;

    IntStorage(int length) {
        values = new int[length];
    }

    int[] values() {
        return values;
    }

    boolean isReleased() {
        return released;
    }

    void release() {
        released = true;
    }
}
