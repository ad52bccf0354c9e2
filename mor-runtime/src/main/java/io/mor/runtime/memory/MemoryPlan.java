package io.mor.runtime.memory;

import io.mor.api.backend.Precision;
import io.mor.runtime.memory.AllocationTrace.Request;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * Which tensors of a piece of work lie in the same memory: two that are never in use at once may. Large ones choose first, each the smallest
 * slot that is free while it is in use (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, greedy by
 * size).
 *
 * @param trace what it was made for
 * @param slots pieces of memory, largest first within a precision
 * @param slotOf for each tensor of the trace the index of its slot
 */
public record MemoryPlan(AllocationTrace trace, List<Slot> slots, List<Integer> slotOf) {

    /**
     * A piece of memory, of the shape of its largest tensor.
     *
     * @param rows its rows
     * @param columns its columns
     * @param precision of its elements
     */
    public record Slot(int rows, int columns, Precision precision) {

        /** Its elements. */
        public long elements() {
            return (long) rows * columns;
        }

        /** Its size. */
        public long bytes() {
            return elements() * precision.bytes();
        }
    }

    /** Copies the lists. */
    public MemoryPlan {
        slots = List.copyOf(slots);
        slotOf = List.copyOf(slotOf);
    }

    /** The plan for a trace; the same for the same trace. */
    public static MemoryPlan of(AllocationTrace trace) {
        List<Request> requests = trace.tensors();
        List<Slot> slots = new ArrayList<>();
        List<Tenants> tenants = new ArrayList<>();
        Integer[] slotOf = new Integer[requests.size()];
        IntStream.range(0, requests.size())
                .boxed()
                .sorted(Comparator.<Integer, Precision>comparing(
                                i -> requests.get(i).precision())
                        .thenComparing(i -> -requests.get(i).elements())
                        .thenComparing(i -> i))
                .forEach(i -> {
                    Request request = requests.get(i);
                    int slot =
                            slots.size() - 1; // slots come in order of size, so the last that is free is the smallest
                    while (slot >= 0
                            && !(slots.get(slot).precision() == request.precision()
                                    && tenants.get(slot).isFree(request))) {
                        slot--;
                    }
                    if (slot < 0) {
                        slot = slots.size();
                        slots.add(new Slot(request.rows(), request.columns(), request.precision()));
                        tenants.add(new Tenants());
                    }
                    tenants.get(slot).add(request);
                    slotOf[i] = slot;
                });
        return new MemoryPlan(trace, slots, List.of(slotOf));
    }

    /** The times at which a slot is taken, none of which overlap. */
    private static final class Tenants {
        private final TreeMap<Integer, Request> byFirst = new TreeMap<>();

        boolean isFree(Request request) {
            var before = byFirst.floorEntry(Math.max(request.first(), request.last()));
            return before == null || !before.getValue().overlaps(request);
        }

        void add(Request request) {
            byFirst.put(request.first(), request);
        }
    }

    /** Bytes of all slots and integers: what the work holds, known before it runs. */
    public long bytes() {
        return slots.stream().mapToLong(Slot::bytes).sum() + trace.intBytes();
    }
}
