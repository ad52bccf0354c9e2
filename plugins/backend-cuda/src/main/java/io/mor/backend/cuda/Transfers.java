package io.mor.backend.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jcuda.Pointer;
import jcuda.driver.JCudaDriver;

/**
 * Copies between Java arrays and device memory through one pinned buffer, in the order of the device's stream. Every copy has ended when its
 * method returns.
 */
final class Transfers implements AutoCloseable {

    private static final int BUFFER = 4 << 20;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

    private final Device device;
    private final Pointer pinned = new Pointer();
    private final MemorySegment buffer;

    Transfers(Device device) {
        this.device = device;
        Device.check(
                JCudaDriver.cuMemAllocHost(pinned, BUFFER), "allocating " + BUFFER + " bytes of pinned host memory");
        this.buffer = MemorySegment.ofBuffer(pinned.getByteBuffer(0, BUFFER));
    }

    /** Moves elements {@code first .. first + number} between an array and the start of the pinned buffer. */
    @FunctionalInterface
    private interface Chunk {
        void move(int first, int number);
    }

    /**
     * @param narrow whether the device's elements are in bfloat16
     */
    void write(long address, boolean narrow, float[] values) {
        if (narrow) {
            toDevice(address, 2, values.length, (first, number) -> {
                for (int i = 0; i < number; i++) {
                    buffer.setAtIndex(SHORT, i, narrow(values[first + i]));
                }
            });
        } else {
            toDevice(
                    address,
                    4,
                    values.length,
                    (first, number) -> MemorySegment.copy(values, first, buffer, FLOAT, 0, number));
        }
    }

    void write(long address, boolean narrow, double[] values) {
        toDevice(address, narrow ? 2 : 4, values.length, (first, number) -> {
            for (int i = 0; i < number; i++) {
                float value = (float) values[first + i];
                if (narrow) {
                    buffer.setAtIndex(SHORT, i, narrow(value));
                } else {
                    buffer.setAtIndex(FLOAT, i, value);
                }
            }
        });
    }

    void write(long address, int[] values) {
        toDevice(
                address,
                4,
                values.length,
                (first, number) -> MemorySegment.copy(values, first, buffer, INT, 0, number));
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
        MemorySegment.copy(values, 0, buffer, ValueLayout.JAVA_DOUBLE, 0, values.length);
        Device.check(
                JCudaDriver.cuMemcpyHtoDAsync(new DeviceAddress(address), pinned, 8L * values.length, device.stream()),
                "copying to the GPU");
        device.synchronize();
    }

    void read(long address, boolean narrow, float[] values) {
        if (narrow) {
            fromDevice(address, 2, values.length, (first, number) -> {
                for (int i = 0; i < number; i++) {
                    values[first + i] = widen(buffer.getAtIndex(SHORT, i));
                }
            });
        } else {
            fromDevice(
                    address,
                    4,
                    values.length,
                    (first, number) -> MemorySegment.copy(buffer, FLOAT, 0, values, first, number));
        }
    }

    void read(long address, boolean narrow, double[] values) {
        fromDevice(address, narrow ? 2 : 4, values.length, (first, number) -> {
            for (int i = 0; i < number; i++) {
                values[first + i] = narrow ? widen(buffer.getAtIndex(SHORT, i)) : buffer.getAtIndex(FLOAT, i);
            }
        });
    }

    void read(long address, int[] values) {
        fromDevice(
                address,
                4,
                values.length,
                (first, number) -> MemorySegment.copy(buffer, INT, 0, values, first, number));
    }

    private void toDevice(long address, int elementBytes, int length, Chunk fill) {
        int most = BUFFER / elementBytes;
        for (int first = 0; first < length; first += most) {
            int number = Math.min(most, length - first);
            fill.move(first, number);
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

    private void fromDevice(long address, int elementBytes, int length, Chunk drain) {
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
            drain.move(first, number);
        }
    }

    @Override
    public void close() {
        JCudaDriver.cuMemFreeHost(pinned);
    }
}
