package io.mor.backend.cuda;

import io.mor.api.backend.HostCopy;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.function.LongConsumer;
import jcuda.Pointer;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * Small tensors on their way to the host: a kernel copies them to pinned memory, and the host waits when it asks for them. The slots are
 * used round and round; a slot whose values nobody has asked for is read when its turn comes.
 *
 * <p>Thread safety: one thread.
 */
final class LaterReads implements AutoCloseable {

    /** Elements of a read. */
    static final int LARGEST = 1024;

    private static final int SLOTS = 64;

    private final Device device;
    private final LaunchQueue queue;
    private final Pointer pinned = new Pointer();
    private final MemorySegment memory;
    private final Slot[] slots = new Slot[SLOTS];
    private int next;

    LaterReads(Device device, LaunchQueue queue) {
        this.device = device;
        this.queue = queue;
        long bytes = (long) SLOTS * LARGEST * Float.BYTES;
        Device.check(JCudaDriver.cuMemAllocHost(pinned, bytes), "allocating " + bytes + " bytes of pinned host memory");
        this.memory = MemorySegment.ofBuffer(pinned.getByteBuffer(0, bytes));
        for (int i = 0; i < SLOTS; i++) {
            slots[i] = new Slot(memory.asSlice((long) i * LARGEST * Float.BYTES, (long) LARGEST * Float.BYTES));
        }
    }

    private static final class Slot {
        private final MemorySegment memory;
        private final CUevent arrived = new CUevent();
        private boolean awaitsStart;
        private Optional<Read> read = Optional.empty();

        Slot(MemorySegment memory) {
            this.memory = memory;
            Device.check(
                    JCudaDriver.cuEventCreate(arrived, CUevent_flags.CU_EVENT_DISABLE_TIMING), "creating an event");
        }
    }

    /** One read: in its slot until it is asked for, or until the slot is wanted by another. */
    private final class Read implements HostCopy {
        private final Slot slot;
        private final int elements;
        private Optional<double[]> values = Optional.empty();

        Read(Slot slot, int elements) {
            this.slot = slot;
            this.elements = elements;
        }

        @Override
        public boolean hasArrived() {
            return values.isPresent()
                    || !slot.awaitsStart && JCudaDriver.cuEventQuery(slot.arrived) == CUresult.CUDA_SUCCESS;
        }

        @Override
        public double[] values() {
            if (values.isEmpty()) {
                device.makeCurrent();
                if (slot.awaitsStart) {
                    queue.flush();
                }
                Device.check(JCudaDriver.cuEventSynchronize(slot.arrived), "waiting for GPU " + device.ordinal);
                double[] read = new double[elements];
                for (int i = 0; i < elements; i++) {
                    read[i] = slot.memory.getAtIndex(ValueLayout.JAVA_FLOAT, i);
                }
                values = Optional.of(read);
                slot.read = Optional.empty();
            }
            return values.get().clone();
        }
    }

    /**
     * Begins a read.
     *
     * @param elements at most {@link #LARGEST}
     * @param copy launches the copy to an address, in single precision
     */
    HostCopy read(int elements, LongConsumer copy) {
        Slot slot = slots[next];
        next = (next + 1) % SLOTS;
        slot.read.ifPresent(Read::values);
        Read read = new Read(slot, elements);
        slot.read = Optional.of(read);
        copy.accept(slot.memory.address());
        if (queue.keepsBack()) {
            slot.awaitsStart = true;
        } else {
            record(slot);
        }
        return read;
    }

    /** Launches that were kept back have been started. */
    void started() {
        for (Slot slot : slots) {
            if (slot.awaitsStart) {
                record(slot);
            }
        }
    }

    private void record(Slot slot) {
        slot.awaitsStart = false;
        Device.check(JCudaDriver.cuEventRecord(slot.arrived, device.stream()), "recording an event");
    }

    @Override
    public void close() {
        for (Slot slot : slots) {
            slot.read.ifPresent(Read::values); // whoever asks later finds them here
            JCudaDriver.cuEventDestroy(slot.arrived);
        }
        JCudaDriver.cuMemFreeHost(pinned);
    }
}
