package io.mor.runtime.memory;

import io.mor.api.backend.Backend;
import io.mor.api.backend.Precision;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/**
 * Memory of a backend that is handed out in regions and used again: a step whose shapes are those of the step before allocates nothing and gets
 * the same memory in the same order.
 *
 * <p>Thread safety: one thread.
 */
public final class MemoryPool implements AutoCloseable {

    private record Shape(int rows, int columns, Precision precision) {}

    private final Backend backend;
    private final Map<Shape, Deque<Tensor>> free = new HashMap<>();
    private final Map<Tensor, Shape> shapes = new IdentityHashMap<>();
    private final Map<Integer, Deque<IntTensor>> freeInts = new HashMap<>();
    private long heldBytes;

    /** A pool over a backend, which must outlive it. */
    public MemoryPool(Backend backend) {
        this.backend = backend;
    }

    /** The backend whose memory this is. */
    public Backend backend() {
        return backend;
    }

    /** A new region; its memory comes back when it is closed. */
    public Region region() {
        return new Region(new Source());
    }

    /** Bytes that the pool has taken from the backend, in use or not. */
    public long heldBytes() {
        return heldBytes;
    }

    /** Gives the memory that is not in use back to the backend; for calls whose shapes change from one to the next. */
    public void trim() {
        for (Deque<Tensor> tensors : free.values()) {
            for (Tensor tensor : tensors) {
                heldBytes -= bytes(shapes.remove(tensor));
                backend.release(tensor);
            }
        }
        free.clear();
        for (Deque<IntTensor> tensors : freeInts.values()) {
            for (IntTensor tensor : tensors) {
                heldBytes -= 4L * tensor.length();
                backend.release(tensor);
            }
        }
        freeInts.clear();
    }

    private static long bytes(Shape shape) {
        return (long) shape.rows() * shape.columns() * shape.precision().bytes();
    }

    private final class Source implements MemorySource {

        @Override
        public Backend backend() {
            return backend;
        }

        @Override
        public Tensor take(int rows, int columns, Precision precision) {
            Shape shape = new Shape(rows, columns, precision);
            Deque<Tensor> candidates = free.get(shape);
            if (candidates != null && !candidates.isEmpty()) {
                return candidates.pop();
            }
            Tensor fresh = backend.allocate(rows, columns, precision);
            shapes.put(fresh, shape);
            heldBytes += bytes(shape);
            return fresh;
        }

        @Override
        public IntTensor takeInts(int length) {
            Deque<IntTensor> candidates = freeInts.get(length);
            if (candidates != null && !candidates.isEmpty()) {
                return candidates.pop();
            }
            IntTensor fresh = backend.allocateInts(length);
            heldBytes += 4L * length;
            return fresh;
        }

        @Override
        public void giveBack(List<Tensor> tensors, List<IntTensor> ints) {
            // In reverse, so that the next region of the same shapes gets the same memory in the same order.
            for (Tensor tensor : tensors.reversed()) {
                free.computeIfAbsent(shapes.get(tensor), shape -> new ArrayDeque<>())
                        .push(tensor);
            }
            for (IntTensor integers : ints.reversed()) {
                freeInts.computeIfAbsent(integers.length(), shape -> new ArrayDeque<>())
                        .push(integers);
            }
        }
    }

    @Override
    public void close() {
        trim();
    }
}
