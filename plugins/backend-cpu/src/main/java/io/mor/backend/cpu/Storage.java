package io.mor.backend.cpu;

import java.util.ArrayList;
import java.util.List;

/**
 * Allocated elements, which a tensor and its views share. The array may be longer than what was asked for.
 *
 * <p>{@link #version()} grows with every write, which is how {@link PackedPanels} know that they are out of date.
 */
final class Storage {

    private final float[] values;
    private final int size;
    private final List<PackedPanels> packed = new ArrayList<>();
    private long version;
    private boolean released;

    Storage(float[] values, int size) {
        this.values = values;
        this.size = size;
    }

    float[] values() {
        return values;
    }

    /** The elements asked for. */
    int size() {
        return size;
    }

    long version() {
        return version;
    }

    void written() {
        version++;
    }

    /** The packed forms in which matrix products have met these elements. */
    List<PackedPanels> packed() {
        return packed;
    }

    boolean isReleased() {
        return released;
    }

    void release() {
        released = true;
    }
}
