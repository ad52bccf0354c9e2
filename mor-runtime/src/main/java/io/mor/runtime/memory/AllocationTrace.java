package io.mor.runtime.memory;

import io.mor.api.backend.Precision;
import java.util.List;

/**
 * The memory that a piece of work asks for, in its order, and between which kernels each tensor is in use. Two traces that are equal can be
 * served with the same {@link MemoryPlan}.
 *
 * @param tensors in the order in which they are asked for
 * @param ints lengths of the integer vectors, in the order in which they are asked for; they are small, and live as long as the work
 */
public record AllocationTrace(List<Request> tensors, List<Integer> ints) {

    /**
     * A tensor that is asked for. Kernels are counted from 0.
     *
     * @param rows its rows
     * @param columns its columns
     * @param precision of its elements
     * @param first the first kernel that could use it
     * @param last the last kernel that uses it; less than {@code first} if none does
     */
    public record Request(int rows, int columns, Precision precision, int first, int last) {

        /** How much memory it needs. */
        public long elements() {
            return (long) rows * columns;
        }

        /** How much memory it needs. */
        public long bytes() {
            return elements() * precision.bytes();
        }

        /** Whether one has to be kept while the other is in use. */
        boolean overlaps(Request other) {
            return first <= Math.max(other.first, other.last) && other.first <= Math.max(first, last);
        }
    }

    /** Copies the lists. */
    public AllocationTrace {
        tensors = List.copyOf(tensors);
        ints = List.copyOf(ints);
    }

    /** Bytes if nothing were used twice. */
    public long bytesWithoutReuse() {
        return tensors.stream().mapToLong(Request::bytes).sum() + intBytes();
    }

    /** Bytes of the integers. */
    public long intBytes() {
        return ints.stream().mapToLong(length -> (long) length * Integer.BYTES).sum();
    }

    /** The most bytes that are in use at one time: no placement needs less. */
    public long bytesInUseAtMost() {
        int kernels = tensors.stream()
                .mapToInt(each -> Math.max(each.first(), each.last()) + 2)
                .max()
                .orElse(1);
        long[] change = new long[kernels];
        for (Request request : tensors) {
            change[request.first()] += request.bytes();
            change[Math.max(request.first(), request.last()) + 1] -= request.bytes();
        }
        long inUse = 0;
        long most = 0;
        for (long each : change) {
            inUse += each;
            most = Math.max(most, inUse);
        }
        return most + intBytes();
    }
}
