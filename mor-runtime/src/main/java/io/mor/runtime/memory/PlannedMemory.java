package io.mor.runtime.memory;

import io.mor.api.backend.Backend;
import io.mor.api.backend.Precision;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Memory that is laid out before the work begins: every tensor of a region has its place in a {@link MemoryPlan}. While the plan stays the same
 * nothing is allocated and every request gets the same handle, so the same address, as in the region before.
 *
 * <p>Thread safety: one thread; one region at a time.
 */
public final class PlannedMemory implements AutoCloseable {

    private final Backend backend;
    private final List<Tensor> slots = new ArrayList<>();
    private final List<IntTensor> ints = new ArrayList<>();
    private final List<Tensor> places = new ArrayList<>();
    private Optional<MemoryPlan> plan = Optional.empty();
    private long heldBytes;
    private boolean inUse;

    /** Memory of a backend, which must outlive it. */
    public PlannedMemory(Backend backend) {
        this.backend = backend;
    }

    /**
     * A region for work that asks for what a trace says, in that order; its contents are unspecified.
     *
     * @throws IllegalStateException if the region before is still open
     */
    public Region region(AllocationTrace trace) {
        if (inUse) {
            throw new IllegalStateException("the region before is still open");
        }
        if (plan.isEmpty() || !plan.get().trace().equals(trace)) {
            layOut(MemoryPlan.of(trace));
        }
        inUse = true;
        return new Region(new Places());
    }

    /** The plan of the last region. */
    public Optional<MemoryPlan> plan() {
        return plan;
    }

    /** Bytes taken from the backend. */
    public long heldBytes() {
        return heldBytes;
    }

    private void layOut(MemoryPlan next) {
        close();
        for (MemoryPlan.Slot slot : next.slots()) {
            slots.add(backend.allocate(slot.rows(), slot.columns(), slot.precision()));
            heldBytes += slot.bytes();
        }
        for (int length : next.trace().ints()) {
            ints.add(backend.allocateInts(length));
            heldBytes += (long) length * Integer.BYTES;
        }
        for (int i = 0; i < next.slotOf().size(); i++) {
            AllocationTrace.Request request = next.trace().tensors().get(i);
            Tensor slot = slots.get(next.slotOf().get(i));
            places.add(backend.view(slot, 0, Extent.exact(request.rows()), request.columns()));
        }
        plan = Optional.of(next);
    }

    /** Gives all of it back to the backend. */
    @Override
    public void close() {
        slots.forEach(backend::release);
        ints.forEach(backend::release);
        slots.clear();
        ints.clear();
        places.clear();
        plan = Optional.empty();
        heldBytes = 0;
    }

    private final class Places implements MemorySource {
        private int next;
        private int nextInts;

        @Override
        public Backend backend() {
            return backend;
        }

        @Override
        public Tensor take(int rows, int columns, Precision precision) {
            if (next < places.size()) {
                Tensor place = places.get(next);
                if (place.rows() == rows && place.columns() == columns) {
                    next++;
                    return place;
                }
            }
            throw unforeseen("tensor [" + rows + ", " + columns + "]", next);
        }

        @Override
        public IntTensor takeInts(int length) {
            if (nextInts < ints.size() && ints.get(nextInts).length() == length) {
                return ints.get(nextInts++);
            }
            throw unforeseen("vector of " + length + " integers", nextInts);
        }

        private IllegalStateException unforeseen(String what, int index) {
            return new IllegalStateException("request " + index + " of a step is a " + what
                    + ", which the dry run of the same step did not ask for there: a router, block or selector decides"
                    + " on its shapes by something else than its call context");
        }

        @Override
        public void giveBack(List<Tensor> tensors, List<IntTensor> integers) {
            inUse = false;
        }
    }
}
