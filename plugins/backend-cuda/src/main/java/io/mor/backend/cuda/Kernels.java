package io.mor.backend.cuda;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * The kernels of a backend by name, each file compiled and loaded when one of its kernels is first wanted, and the place where a launch's
 * arguments are put together.
 *
 * <p>{@code kernel("rope").pointer(a).integer(n).overElements(n)}: the arguments in the order of the kernel's parameters, then the launch.
 */
final class Kernels implements AutoCloseable {

    private static final int THREADS = 256;
    private static final long MOST_BLOCKS = 1 << 30;
    /** Of the 48 KiB that need no asking; the rest is for what kernels declare themselves. */
    private static final int DEFAULT_SHARED_MEMORY = 32 << 10;

    private final Device device;
    private final KernelCompiler compiler;
    private final LaunchQueue queue;
    private final long[] slots = new long[DriverCalls.MOST_ARGUMENTS]; // a slot holds one argument, little-endian
    private final Map<String, Function> functions = new HashMap<>();
    private final Map<String, Integer> sharedMemory = new HashMap<>();
    private final List<CUmodule> modules = new ArrayList<>();
    private final Map<String, String> fileOf = new HashMap<>();
    private Optional<LaunchClock> clock = Optional.empty();
    private String name = "";
    private int arguments;
    private double operandBytes;
    private double operations;

    /** A kernel that tells its handle. */
    private static final class Function extends CUfunction {
        long handle() {
            return getNativePointer();
        }
    }

    /**
     * @param queue where launches go
     */
    Kernels(Device device, KernelCompiler compiler, LaunchQueue queue) {
        this.device = device;
        this.compiler = compiler;
        this.queue = queue;
        for (String file : KernelSource.FILES) {
            KernelNames.of(KernelSource.of(file).text()).forEach(kernel -> fileOf.put(kernel, file));
        }
    }

    /** Begins a launch. */
    Kernels kernel(String kernel) {
        name = kernel;
        arguments = 0;
        operandBytes = 0;
        operations = 0;
        return this;
    }

    /** From now on launches are timed by this clock, or by none. */
    void timeBy(Optional<LaunchClock> chosen) {
        queue.pause(chosen.isPresent());
        clock = chosen;
    }

    /** Notes how large an operand of the launch under way is. */
    void operand(double bytes) {
        operandBytes += bytes;
    }

    /** Notes how much the launch under way multiplies, two a multiply-add. */
    void multiplies(double count) {
        operations += count;
    }

    /**
     * Runs a launch of a library, which {@link #operand} and {@link #kernel} do not know of.
     *
     * @param call what decides everything that the library does
     */
    void library(String label, double bytes, double operations, Object call, Runnable launch) {
        if (clock.isPresent()) {
            clock.get().time(label, bytes, operations, launch);
        } else {
            queue.add(new Launch.Library(call, launch));
        }
    }

    Kernels pointer(long address) {
        slots[arguments++] = address;
        return this;
    }

    /** Several words, for example of a map of the copy engine, in a kernel's only argument. */
    Kernels words(long[] values) {
        System.arraycopy(values, 0, slots, arguments, values.length);
        arguments += values.length;
        return this;
    }

    Kernels wide(long value) {
        return pointer(value);
    }

    Kernels integer(int value) {
        return pointer(value & 0xffffffffL);
    }

    Kernels flag(boolean value) {
        return pointer(value ? 1 : 0);
    }

    Kernels real(double value) {
        return integer(Float.floatToRawIntBits((float) value));
    }

    /**
     * Launches threads that walk over {@code elements} elements; nothing if there are none. A thread for each: blocks that come and go read and
     * write neighbouring memory at a time, which is 5 to 7 % faster than blocks that stay and stride.
     */
    void overElements(long elements) {
        if (elements > 0) {
            long blocks = Math.min((elements + THREADS - 1) / THREADS, MOST_BLOCKS);
            launch((int) blocks, 1, 1, THREADS, 1, 0);
        }
    }

    /** Launches a warp per row, or a block per row of more than 1024 columns; nothing without rows. The kernel's name gets its ending here. */
    void overRows(int rows, int columns) {
        if (rows > 0) {
            boolean wide = columns > 1024;
            name = name + (wide ? "Block" : "Warp");
            launch(wide ? rows : (rows + 7) / 8, 1, 1, THREADS, 1, 0);
        }
    }

    /** Launches a grid of blocks. */
    void launch(int gridX, int gridY, int gridZ, int blockX, int blockY, int sharedBytes) {
        Function function = function(name);
        if (sharedBytes > DEFAULT_SHARED_MEMORY && sharedMemory.getOrDefault(name, 0) < sharedBytes) {
            if (sharedBytes > device.sharedMemoryPerBlock) {
                throw new IllegalArgumentException(
                        "kernel " + name + " needs " + sharedBytes + " bytes of shared memory for a block, "
                                + device.name + " has " + device.sharedMemoryPerBlock + "; use narrower heads");
            }
            Device.check(
                    JCudaDriver.cuFuncSetAttribute(
                            function,
                            CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                            sharedBytes),
                    "raising the shared memory of kernel " + name);
            sharedMemory.put(name, sharedBytes);
        }
        Launch launch = new Launch.Kernel(
                name,
                function.handle(),
                new int[] {gridX, gridY, gridZ, blockX, blockY, sharedBytes},
                Arrays.copyOf(slots, arguments));
        if (clock.isPresent()) {
            clock.get().time(name, operandBytes, operations, () -> queue.add(launch));
        } else {
            queue.add(launch);
        }
    }

    private Function function(String kernel) {
        Function known = functions.get(kernel);
        if (known != null) {
            return known;
        }
        String file = fileOf.get(kernel);
        if (file == null) {
            throw new IllegalStateException("no kernel source has a kernel " + kernel);
        }
        CUmodule module = load(KernelSource.of(file));
        for (Map.Entry<String, String> entry : fileOf.entrySet()) {
            if (entry.getValue().equals(file)) {
                Function function = new Function();
                Device.check(
                        JCudaDriver.cuModuleGetFunction(function, module, entry.getKey()),
                        "finding kernel " + entry.getKey() + " in " + file);
                functions.put(entry.getKey(), function);
            }
        }
        return functions.get(kernel);
    }

    private CUmodule load(KernelSource source) {
        CUmodule module = new CUmodule();
        int result = JCudaDriver.cuModuleLoadData(module, compiler.compile(source));
        if (result == CUresult.CUDA_ERROR_INVALID_IMAGE || result == CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU) {
            result = JCudaDriver.cuModuleLoadData(module, compiler.recompile(source)); // the kept file was damaged
        }
        Device.check(result, "loading the kernels of " + source.name());
        modules.add(module);
        return module;
    }

    @Override
    public void close() {
        for (CUmodule module : modules) {
            JCudaDriver.cuModuleUnload(module);
        }
        modules.clear();
        functions.clear();
        compiler.close();
    }
}
