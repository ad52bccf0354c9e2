package io.mor.backend.cuda;

import java.lang.foreign.MemorySegment;
import jcuda.Pointer;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/**
 * Pinned memory of the host from which kernels copy what was written, so that a write does not wait; what is large goes to the device on a stream
 * of its own, while the step before still runs. It is used round and round in quarters; the host waits only where it would overwrite what the GPU
 * has not read yet.
 *
 * <p>Thread safety: one thread.
 */
final class Staging implements AutoCloseable {

    /** Bytes that can be staged at once. */
    static final int LARGEST = 2 << 20;

    private static final int QUARTERS = 4;
    private static final int ALIGNMENT = 256;

    private final Device device;
    private final LaunchQueue queue;
    private final Pointer pinned = new Pointer();
    private final MemorySegment memory;
    private final DeviceMemory.Block mirror; // the same on the device, a place there for every place here
    private final CUstream copies = new CUstream();
    private final CUevent arrived = new CUevent(); // all that was sent so far
    private final CUevent[] read = new CUevent[QUARTERS]; // what was staged in a quarter has been read
    private final boolean[] recorded = new boolean[QUARTERS];
    private final boolean[] open = new boolean[QUARTERS]; // holds what is not covered by its event
    private int quarter;
    private int used;

    Staging(Device device, LaunchQueue queue, DeviceMemory onDevice) {
        this.device = device;
        this.queue = queue;
        Device.check(
                JCudaDriver.cuMemAllocHost(pinned, (long) QUARTERS * LARGEST),
                "allocating " + QUARTERS * LARGEST + " bytes of pinned host memory");
        this.memory = MemorySegment.ofBuffer(pinned.getByteBuffer(0, (long) QUARTERS * LARGEST));
        this.mirror = onDevice.allocate((long) QUARTERS * LARGEST, "memory for what is written");
        Device.check(
                JCudaDriver.cuStreamCreate(copies, CUstream_flags.CU_STREAM_NON_BLOCKING),
                "creating a stream for copies");
        createEvent(arrived);
        for (int i = 0; i < QUARTERS; i++) {
            read[i] = new CUevent();
            createEvent(read[i]);
        }
    }

    private static void createEvent(CUevent event) {
        Device.check(JCudaDriver.cuEventCreate(event, CUevent_flags.CU_EVENT_DISABLE_TIMING), "creating an event");
    }

    /** Room for at most {@link #LARGEST} bytes, whose address kernels can read; a launch that reads it must be added next. */
    MemorySegment take(int bytes) {
        int rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        if (used + rounded > LARGEST) {
            enterNextQuarter();
        }
        MemorySegment room = memory.asSlice((long) quarter * LARGEST + used, bytes);
        used += rounded;
        open[quarter] = true;
        return room;
    }

    /**
     * Starts to copy what was put into a room to the device, beside the work that runs there. What is launched from now on waits for it.
     *
     * @return the room's address on the device; a launch that reads it must be added next
     */
    long send(MemorySegment room) {
        device.makeCurrent();
        long offset = room.address() - memory.address();
        long target = mirror.address() + offset;
        Device.check(
                JCudaDriver.cuMemcpyHtoDAsync(
                        new DeviceAddress(target), pinned.withByteOffset(offset), room.byteSize(), copies),
                "copying to the GPU");
        Device.check(JCudaDriver.cuEventRecord(arrived, copies), "recording an event");
        Device.check(JCudaDriver.cuStreamWaitEvent(device.stream(), arrived, 0), "waiting for a copy");
        return target;
    }

    private void enterNextQuarter() {
        if (!queue.keepsBack()) {
            cover(quarter);
        }
        quarter = (quarter + 1) % QUARTERS;
        used = 0;
        if (open[quarter]) {
            queue.flush();
            cover(quarter);
        }
        if (recorded[quarter]) {
            Device.check(JCudaDriver.cuEventSynchronize(read[quarter]), "waiting for GPU " + device.ordinal);
        }
    }

    /** Covers all quarters but the one in use by their events; launches that read them have been started. */
    void started() {
        for (int i = 0; i < QUARTERS; i++) {
            if (i != quarter && open[i]) {
                cover(i);
            }
        }
    }

    private void cover(int which) {
        Device.check(JCudaDriver.cuEventRecord(read[which], device.stream()), "recording an event");
        recorded[which] = true;
        open[which] = false;
    }

    @Override
    public void close() {
        for (CUevent event : read) {
            JCudaDriver.cuEventDestroy(event);
        }
        JCudaDriver.cuEventDestroy(arrived);
        JCudaDriver.cuStreamDestroy(copies);
        JCudaDriver.cuMemFreeHost(pinned);
    }
}
