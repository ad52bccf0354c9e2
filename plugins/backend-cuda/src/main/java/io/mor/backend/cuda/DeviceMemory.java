package io.mor.backend.cuda;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * Device memory of one backend. Blocks that are given back are kept and handed out again, which is safe without waiting because all work is
 * in the order of one stream. Up to 1 MiB a block is a power of two cut from a slab; larger blocks are whole allocations of the driver.
 */
final class DeviceMemory implements AutoCloseable {

    private static final long SMALLEST = 512;
    private static final long LARGEST_SMALL = 1L << 20;
    private static final long SLAB = 4L << 20;
    private static final long GRANULE = 2L << 20;

    /**
     * Memory on the device.
     *
     * @param address its first byte
     * @param bytes its size, at least what was asked
     */
    record Block(long address, long bytes) {}

    private final Device device;
    private final Runnable beforeFreeing;
    private final Map<Long, DeviceAddress> allocations = new HashMap<>();
    private final Map<Long, Deque<Block>> freeSmall = new HashMap<>();
    private final TreeMap<Long, Deque<Block>> freeLarge = new TreeMap<>();
    private final Set<Block> used = new HashSet<>();
    private long usedBytes;
    private long peakBytes;

    /**
     * @param beforeFreeing is run before memory goes back to the driver, so that nothing that was kept back uses it afterwards
     */
    DeviceMemory(Device device, Runnable beforeFreeing) {
        this.device = device;
        this.beforeFreeing = beforeFreeing;
    }

    /**
     * A block of at least {@code bytes} bytes, aligned to 512.
     *
     * @param what asks for it, for the message
     * @throws OutOfMemoryError if there is not enough
     */
    Block allocate(long bytes, String what) {
        Block block = bytes <= LARGEST_SMALL ? small(bytes, what) : large(bytes, what);
        used.add(block);
        usedBytes += block.bytes;
        peakBytes = Math.max(peakBytes, usedBytes);
        return block;
    }

    /** Gives a block back. */
    void release(Block block) {
        if (!used.remove(block)) {
            throw new IllegalStateException("a block of device memory was released twice");
        }
        usedBytes -= block.bytes;
        if (block.bytes <= LARGEST_SMALL) {
            freeSmall.computeIfAbsent(block.bytes, size -> new ArrayDeque<>()).push(block);
        } else {
            freeLarge.computeIfAbsent(block.bytes, size -> new ArrayDeque<>()).push(block);
        }
    }

    /** Bytes in use. */
    long usedBytes() {
        return usedBytes;
    }

    /** The most bytes that were in use at once. */
    long peakBytes() {
        return peakBytes;
    }

    private Block small(long bytes, String what) {
        long size = Math.max(SMALLEST, Long.highestOneBit(Math.max(1, bytes - 1)) << 1);
        Deque<Block> free = freeSmall.computeIfAbsent(size, s -> new ArrayDeque<>());
        if (free.isEmpty()) {
            long slab = allocate(SLAB, SLAB, what);
            for (long offset = SLAB - size; offset >= 0; offset -= size) {
                free.push(new Block(slab + offset, size));
            }
        }
        return free.pop();
    }

    private Block large(long bytes, String what) {
        long size = (bytes + GRANULE - 1) / GRANULE * GRANULE;
        Map.Entry<Long, Deque<Block>> candidate = freeLarge.ceilingEntry(size);
        if (candidate != null && candidate.getKey() <= size + size / 8) {
            Block block = candidate.getValue().pop();
            if (candidate.getValue().isEmpty()) {
                freeLarge.remove(candidate.getKey());
            }
            return block;
        }
        return new Block(allocate(size, bytes, what), size);
    }

    private long allocate(long size, long asked, String what) {
        DeviceAddress address = new DeviceAddress();
        int result = tooLarge(size) ? CUresult.CUDA_ERROR_OUT_OF_MEMORY : JCudaDriver.cuMemAlloc(address, size);
        if (result == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            freeUnused();
            result = tooLarge(size) ? result : JCudaDriver.cuMemAlloc(address, size);
        }
        if (result == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            long[] memory = device.memory();
            throw new OutOfMemoryError(what + " asks for " + mebibytes(asked) + " on GPU " + device.ordinal + " ("
                    + device.name + "), of whose " + mebibytes(memory[1]) + " "
                    + mebibytes(memory[0]) + " are free; this backend holds " + mebibytes(usedBytes) + " in "
                    + used.size()
                    + " tensors. Take a smaller batch or context, or recompute activations");
        }
        Device.check(result, "allocating " + mebibytes(size) + " for " + what);
        allocations.put(address.address(), address);
        return address.address();
    }

    /** The driver is not asked for what no card has: some versions call that another error. */
    private boolean tooLarge(long size) {
        return size > device.memory()[1];
    }

    /** Returns large blocks that nobody uses to the driver, which waits for the kernels that still do. */
    private void freeUnused() {
        beforeFreeing.run();
        List<Block> unused = new ArrayList<>();
        freeLarge.values().forEach(unused::addAll);
        freeLarge.clear();
        for (Block block : unused) {
            JCudaDriver.cuMemFree(allocations.remove(block.address));
        }
    }

    private static String mebibytes(long bytes) {
        return bytes < 10 << 20 ? bytes + " bytes" : (bytes >> 20) + " MiB";
    }

    /** Frees everything, in use or not. */
    @Override
    public void close() {
        for (DeviceAddress address : allocations.values()) {
            JCudaDriver.cuMemFree(address);
        }
        allocations.clear();
        freeSmall.clear();
        freeLarge.clear();
        used.clear();
        usedBytes = 0;
    }
}
