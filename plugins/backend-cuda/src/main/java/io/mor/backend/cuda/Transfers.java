package io.mor.backend.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jcuda.Pointer;
import jcuda.driver.JCudaDriver;

/**
 * Copies between Java arrays and device memory, in the order of the device's stream. Small writes go through {@link Staging} and do not wait; large
 * ones and reads go through one pinned buffer and have ended when their method returns.
 */
final class Transfers implements AutoCloseable {

    private static final int BUFFER = 4 << 20;
    private static final int SENT = 16 << 10; // bytes from which on a write goes to the device on the stream of copies
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

    private final Device device;
    private final LaunchQueue queue;
    private final Staging staging;
    private final Kernels kernels;
    private final Pointer pinned = new Pointer();
    private final MemorySegment buffer;

    Transfers(Device device, LaunchQueue queue, Staging staging, Kernels kernels) {
        this.device = device;
        this.queue = queue;
        this.staging = staging;
        this.kernels = kernels;
        Device.check(
                JCudaDriver.cuMemAllocHost(pinned, BUFFER), "allocating " + BUFFER + " bytes of pinned host memory");
        this.buffer = MemorySegment.ofBuffer(pinned.getByteBuffer(0, BUFFER));
    }

    /** Moves elements {@code first .. first + number} between an array and the start of pinned memory. */
    @FunctionalInterface
    private interface Chunk {
        void move(int first, int number, MemorySegment memory);
    }

    /**
     * @param narrow whether the device's elements are in bfloat16
     */
    void write(long address, boolean narrow, float[] values) {
        if (narrow) {
            toDevice(address, 2, values.length, (first, number, memory) -> {
                for (int i = 0; i < number; i++) {
                    memory.setAtIndex(SHORT, i, narrow(values[first + i]));
                }
            });
        } else {
            toDevice(
                    address,
                    4,
                    values.length,
                    (first, number, memory) -> MemorySegment.copy(values, first, memory, FLOAT, 0, number));
        }
    }

    void write(long address, boolean narrow, double[] values) {
        toDevice(address, narrow ? 2 : 4, values.length, (first, number, memory) -> {
            for (int i = 0; i < number; i++) {
                float value = (float) values[first + i];
                if (narrow) {
                    memory.setAtIndex(SHORT, i, narrow(value));
                } else {
                    memory.setAtIndex(FLOAT, i, value);
                }
            }
        });
    }

    void write(long address, int[] values) {
        toDevice(
                address,
                4,
                values.length,
                (first, number, memory) -> MemorySegment.copy(values, first, memory, INT, 0, number));
    }

    /** bfloat16, rounded to nearest even as the GPU does. */
    private static short narrow(float value) {
        int bits = Float.floatToIntBits(value);
        return (short) (Float.isNaN(value) ? 0x7fff : bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
    }

    private static float widen(short value) {
        return Float.intBitsToFloat(value << 16);
    }

    /** Writes 8-byte numbers; for tables of the kernels. */
    void writeWide(long address, double[] values) {
        if (8L * values.length > BUFFER) {
            throw new IllegalArgumentException(
                    "a table of " + values.length + " doubles is larger than the pinned buffer");
        }
        queue.flush(); // the table's memory may be in use by what is kept back
        MemorySegment.copy(values, 0, buffer, ValueLayout.JAVA_DOUBLE, 0, values.length);
        Device.check(
                JCudaDriver.cuMemcpyHtoDAsync(new DeviceAddress(address), pinned, 8L * values.length, device.stream()),
                "copying to the GPU");
        device.synchronize();
    }

    void read(long address, boolean narrow, float[] values) {
        if (narrow) {
            fromDevice(address, 2, values.length, (first, number, memory) -> {
                for (int i = 0; i < number; i++) {
                    values[first + i] = widen(memory.getAtIndex(SHORT, i));
                }
            });
        } else {
            fromDevice(
                    address,
                    4,
                    values.length,
                    (first, number, memory) -> MemorySegment.copy(memory, FLOAT, 0, values, first, number));
        }
    }

    void read(long address, boolean narrow, double[] values) {
        fromDevice(address, narrow ? 2 : 4, values.length, (first, number, memory) -> {
            for (int i = 0; i < number; i++) {
                values[first + i] = narrow ? widen(memory.getAtIndex(SHORT, i)) : memory.getAtIndex(FLOAT, i);
            }
        });
    }

    void read(long address, int[] values) {
        fromDevice(
                address,
                4,
                values.length,
                (first, number, memory) -> MemorySegment.copy(memory, INT, 0, values, first, number));
    }

    private void toDevice(long address, int elementBytes, int length, Chunk fill) {
        if (length == 0) {
            return;
        }
        if ((long) elementBytes * length <= Staging.LARGEST) {
            MemorySegment staged = staging.take(elementBytes * length);
            fill.move(0, length, staged);
            // a kernel reads a few bytes from the host sooner than a copy brings them
            long from = staged.byteSize() < SENT ? staged.address() : staging.send(staged);
            copy(address, from, staged.byteSize());
            return;
        }
        queue.flush();
        int most = BUFFER / elementBytes;
        for (int first = 0; first < length; first += most) {
            int number = Math.min(most, length - first);
            fill.move(first, number, buffer);
            Device.check(
                    JCudaDriver.cuMemcpyHtoDAsync(
                            new DeviceAddress(address + (long) elementBytes * first),
                            pinned,
                            (long) elementBytes * number,
                            device.stream()),
                    "copying to the GPU");
            device.synchronize();
        }
    }

    /** Launches a copy between the device and memory of the host that kernels see. */
    void copy(long to, long from, long bytes) {
        device.makeCurrent();
        boolean wholeWords = (to | from | bytes) % 4 == 0;
        long elements = bytes / (wholeWords ? 4 : 2);
        kernels.kernel(wholeWords ? "copyWords" : "copyHalves")
                .pointer(to)
                .pointer(from)
                .wide(elements)
                .overElements(elements);
    }

    private void fromDevice(long address, int elementBytes, int length, Chunk drain) {
        queue.flush();
        int most = BUFFER / elementBytes;
        for (int first = 0; first < length; first += most) {
            int number = Math.min(most, length - first);
            Device.check(
                    JCudaDriver.cuMemcpyDtoHAsync(
                            pinned,
                            new DeviceAddress(address + (long) elementBytes * first),
                            (long) elementBytes * number,
                            device.stream()),
                    "copying from the GPU");
            device.synchronize();
            drain.move(first, number, buffer);
        }
    }

    @Override
    public void close() {
        JCudaDriver.cuMemFreeHost(pinned);
    }
}
