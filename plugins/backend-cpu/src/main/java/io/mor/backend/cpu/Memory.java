package io.mor.backend.cpu;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;

/**
 * What a backend has allocated. Arrays of released tensors are kept by size and used again, so that a training step that allocates what the
 * one before released costs the garbage collector nothing; sizes are rounded up to eighths of powers of two. Not more is kept than was in
 * use at the peak.
 */
final class Memory {

    private static final int LARGEST_ARRAY = Integer.MAX_VALUE - 8;

    private final Map<Integer, ArrayDeque<float[]>> free = new HashMap<>();
    private long liveElements;
    private long peakElements;
    private long freeElements;
    private long packedElements;
    private boolean closed;

    CpuTensor allocate(int rows, int columns) {
        requireOpen();
        if (rows < 0 || columns < 1) {
            throw new IllegalArgumentException(
                    "a tensor [" + rows + ", " + columns + "] cannot be: rows are at least 0, columns at least 1");
        }
        long size = (long) rows * columns;
        String what = "tensor [" + rows + ", " + columns + "]";
        Storage storage = new Storage(take(size, what), (int) size);
        return new CpuTensor(this, storage, 0, Extent.exact(rows), columns, false);
    }

    CpuInts allocateInts(int length) {
        requireOpen();
        if (length < 0) {
            throw new IllegalArgumentException("a vector of " + length + " integers cannot be");
        }
        return new CpuInts(this, new IntStorage(length), 0, length, false);
    }

    CpuTensor view(CpuTensor base, int firstRow, Extent extent, int columns) {
        long first = (long) firstRow * columns;
        if (columns < 1 || firstRow < 0 || first + (long) extent.bound() * columns > base.size()) {
            throw new IndexOutOfBoundsException("a view [" + extent.bound() + ", " + columns + "] from row " + firstRow
                    + " does not lie within " + base);
        }
        return new CpuTensor(this, base.storage(), base.offset() + (int) first, extent, columns, true);
    }

    CpuInts view(CpuInts base, int first, int length) {
        if (first < 0 || length < 0 || (long) first + length > base.length()) {
            throw new IndexOutOfBoundsException(
                    "a view of " + length + " elements from element " + first + " does not lie within a " + base);
        }
        return new CpuInts(this, base.storage(), base.offset() + first, length, true);
    }

    void release(CpuTensor tensor) {
        if (tensor.isView()) {
            throw new IllegalArgumentException(
                    "a " + tensor + " owns nothing and cannot be released; release what it views");
        }
        Storage storage = tensor.storage();
        storage.release();
        liveElements -= storage.values().length;
        give(storage.values());
        for (PackedPanels packed : storage.packed()) {
            packed.drop(this);
        }
        storage.packed().clear();
    }

    void release(CpuInts ints) {
        if (ints.isView()) {
            throw new IllegalArgumentException(
                    "a " + ints + " owns nothing and cannot be released; release what it views");
        }
        ints.storage().release();
    }

    /** An array of at least {@code size} elements, counted as in use. */
    float[] take(long size, String what) {
        if (size > LARGEST_ARRAY) {
            throw new OutOfMemoryError("a " + what + " has " + size + " elements, more than a Java array of "
                    + LARGEST_ARRAY + "; " + held());
        }
        int length = sizeClass((int) size);
        ArrayDeque<float[]> arrays = free.get(length);
        float[] values = arrays == null ? null : arrays.pollLast();
        if (values == null) {
            values = create(length, what);
        } else {
            freeElements -= length;
        }
        liveElements += length;
        peakElements = Math.max(peakElements, liveElements);
        return values;
    }

    /** Gives back an array from {@link #take}. */
    void giveBack(float[] values) {
        liveElements -= values.length;
        give(values);
    }

    /** An array for a packed matrix that is kept, or null if those would take more than a quarter of the heap. */
    float[] takePacked(long size, String what) {
        if (packedElements + size > Runtime.getRuntime().maxMemory() / Float.BYTES / 4) {
            return null;
        }
        float[] values = take(size, what);
        packedElements += values.length;
        return values;
    }

    /** Gives back an array from {@link #takePacked}. */
    void giveBackPacked(float[] values) {
        packedElements -= values.length;
        giveBack(values);
    }

    private float[] create(int length, String what) {
        try {
            return new float[length];
        } catch (OutOfMemoryError first) {
            free.clear();
            freeElements = 0;
            try {
                return new float[length];
            } catch (OutOfMemoryError second) {
                OutOfMemoryError error = new OutOfMemoryError("no memory for a " + what + " (" + megabytes(length)
                        + " MB); " + held() + "; a larger heap (-Xmx) or a smaller batch helps");
                error.initCause(second);
                throw error;
            }
        }
    }

    private void give(float[] values) {
        if (!closed && freeElements + values.length <= peakElements) {
            free.computeIfAbsent(values.length, length -> new ArrayDeque<>()).addLast(values);
            freeElements += values.length;
        }
    }

    private String held() {
        return megabytes(liveElements) + " MB are held";
    }

    private static String megabytes(long elements) {
        return String.valueOf((elements * Float.BYTES + (1 << 20) - 1) >> 20);
    }

    /** {@code size} rounded up to an eighth of a power of two. */
    private static int sizeClass(int size) {
        if (size <= 64) {
            return 64;
        }
        int step = Integer.highestOneBit(size - 1) >>> 3;
        long rounded = ((long) size + step - 1) / step * step;
        return (int) Math.min(rounded, LARGEST_ARRAY);
    }

    void close() {
        closed = true;
        free.clear();
        freeElements = 0;
        liveElements = 0;
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("this cpu backend is closed");
        }
    }

    CpuTensor of(Tensor tensor) {
        if (!(tensor instanceof CpuTensor cpu) || cpu.memory() != this) {
            throw new IllegalArgumentException(
                    "a tensor of " + tensor.getClass().getName() + " belongs to another backend; copy its values over");
        }
        if (cpu.storage().isReleased() || closed) {
            throw new IllegalStateException("a " + cpu + " was released and must not be used");
        }
        return cpu;
    }

    CpuInts of(IntTensor ints) {
        if (!(ints instanceof CpuInts cpu) || cpu.memory() != this) {
            throw new IllegalArgumentException(
                    "a vector of " + ints.getClass().getName() + " belongs to another backend; copy its values over");
        }
        if (cpu.storage().isReleased() || closed) {
            throw new IllegalStateException("a " + cpu + " was released and must not be used");
        }
        return cpu;
    }
}
