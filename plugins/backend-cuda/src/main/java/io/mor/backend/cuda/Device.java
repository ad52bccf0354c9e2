package io.mor.backend.cuda;

import java.nio.charset.StandardCharsets;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/**
 * One GPU: its properties, its primary context and the stream on which all work of a backend runs in order.
 *
 * <p>Thread safety: one thread at a time; {@link #makeCurrent} before work from another thread.
 */
final class Device implements AutoCloseable {

    /** A stream that tells its handle, for libraries outside JCuda. */
    private static final class Stream extends CUstream {
        long handle() {
            return getNativePointer();
        }
    }

    final int ordinal;
    final String name;
    final int major;
    final int minor;
    final int multiprocessors;
    final int sharedMemoryPerBlock;
    final int driverVersion;
    private final CUdevice handle;
    private final CUcontext context = new CUcontext();
    private final Stream stream = new Stream();
    private boolean closed;

    private Device(int ordinal, CUdevice handle, int driverVersion) {
        this.ordinal = ordinal;
        this.handle = handle;
        this.driverVersion = driverVersion;
        this.name = nameOf(handle);
        this.major = attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
        this.minor = attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
        this.multiprocessors = attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
        this.sharedMemoryPerBlock = attribute(CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    }

    /**
     * Retains a GPU's primary context.
     *
     * @throws CudaUnavailableException if there is no such GPU, or it cannot be used
     */
    static Device open(int ordinal, LibrarySearch search) {
        int count = count(search);
        if (ordinal >= count) {
            throw new CudaUnavailableException(
                    "there is no GPU " + ordinal + ", only " + count + ", numbered from 0; set device to one of them");
        }
        CUdevice handle = new CUdevice();
        check(JCudaDriver.cuDeviceGet(handle, ordinal), "finding GPU " + ordinal);
        Device device = new Device(ordinal, handle, driverVersion());
        if (device.major < 8) {
            throw new CudaUnavailableException("GPU " + ordinal + " (" + device.name + ") has compute capability "
                    + device.major + "." + device.minor + ", 8.0 or higher is needed; use backend: cpu");
        }
        check(
                JCudaDriver.cuDevicePrimaryCtxRetain(device.context, handle),
                "opening GPU " + ordinal + " (" + device.name + ")");
        try {
            device.makeCurrent();
            check(
                    JCudaDriver.cuStreamCreate(device.stream, CUstream_flags.CU_STREAM_NON_BLOCKING),
                    "creating a stream");
        } catch (RuntimeException e) {
            JCudaDriver.cuDevicePrimaryCtxRelease(handle);
            throw e;
        }
        return device;
    }

    /**
     * The number of GPUs.
     *
     * @throws CudaUnavailableException if there is no driver or no GPU
     */
    static int count(LibrarySearch search) {
        JCudaNatives.load(search);
        int result = JCudaDriver.cuInit(0);
        int[] count = new int[1];
        if (result == CUresult.CUDA_SUCCESS) {
            result = JCudaDriver.cuDeviceGetCount(count);
        }
        if (result == CUresult.CUDA_ERROR_NO_DEVICE || (result == CUresult.CUDA_SUCCESS && count[0] == 0)) {
            throw new CudaUnavailableException(
                    "the NVIDIA driver finds no GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES, or use backend: cpu");
        }
        if (result != CUresult.CUDA_SUCCESS) {
            throw new CudaUnavailableException("the NVIDIA driver does not start (" + errorName(result)
                    + "); check nvidia-smi, or use backend: cpu");
        }
        return count[0];
    }

    /** The highest CUDA version the driver serves, as 1000 * major + 10 * minor; the driver must be loaded. */
    static int driverVersion() {
        int[] version = new int[1];
        check(JCudaDriver.cuDriverGetVersion(version), "asking the driver's version");
        return version[0];
    }

    private static String nameOf(CUdevice handle) {
        byte[] name = new byte[256];
        check(JCudaDriver.cuDeviceGetName(name, name.length, handle), "asking a GPU's name");
        int length = 0;
        while (length < name.length && name[length] != 0) {
            length++;
        }
        return new String(name, 0, length, StandardCharsets.UTF_8);
    }

    private int attribute(int attribute) {
        int[] value = new int[1];
        check(
                JCudaDriver.cuDeviceGetAttribute(value, attribute, handle),
                "asking attribute " + attribute + " of " + name);
        return value[0];
    }

    /** Whether it is of compute capability 9.0, whose own instructions some kernels need. */
    boolean isHopper() {
        return major == 9 && minor == 0;
    }

    /** The target that kernels are compiled for, for example {@code sm_90a}. */
    String architecture() {
        return "sm_" + major + minor + (major >= 9 ? "a" : "");
    }

    CUstream stream() {
        return stream;
    }

    long streamHandle() {
        return stream.handle();
    }

    /** Bytes free and bytes in all. */
    long[] memory() {
        makeCurrent();
        long[] free = new long[1];
        long[] total = new long[1];
        check(JCudaDriver.cuMemGetInfo(free, total), "asking the free memory of " + name);
        return new long[] {free[0], total[0]};
    }

    /** Binds the context to the calling thread. */
    void makeCurrent() {
        if (closed) {
            throw new IllegalStateException("the cuda backend on GPU " + ordinal + " was used after it was closed");
        }
        check(JCudaDriver.cuCtxSetCurrent(context), "binding GPU " + ordinal + " to the thread");
    }

    /** Waits for all work on the stream. */
    void synchronize() {
        check(JCudaDriver.cuStreamSynchronize(stream), "waiting for GPU " + ordinal);
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            JCudaDriver.cuStreamDestroy(stream);
            JCudaDriver.cuDevicePrimaryCtxRelease(handle);
        }
    }

    /**
     * Fails if a call of the driver did.
     *
     * @param doing what was attempted, for the message
     */
    static void check(int result, String doing) {
        if (result != CUresult.CUDA_SUCCESS) {
            throw new IllegalStateException(doing + " failed: " + errorName(result) + explanation(result));
        }
    }

    private static String errorName(int result) {
        return CUresult.stringFor(result).strip();
    }

    private static String explanation(int result) {
        return switch (result) {
            case CUresult.CUDA_ERROR_ILLEGAL_ADDRESS ->
                "; an earlier kernel read or wrote outside its tensors, run under compute-sanitizer to find it";
            case CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU ->
                "; the kernels were compiled for another card, empty the kernel cache";
            default -> "";
        };
    }
}
