package io.mor.backend.cuda;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;

/**
 * Functions of the driver that JCuda has not, or is slower at: launching (3 instead of 9 microseconds from Java), and those that find and change a
 * kernel of a graph. The driver must be loaded already.
 *
 * <p>Thread safety: one thread.
 */
final class DriverCalls implements AutoCloseable {

    /** Words of eight bytes that a kernel takes: an argument each, or all together one argument, a structure of words. */
    static final int MOST_ARGUMENTS = 128;

    private static final int KERNEL_NODE_PARAMETERS = 72; // CUDA_KERNEL_NODE_PARAMS_v2
    private static final int TENSOR_MAP_WORDS = 16;
    private static final int MAP_OF_BFLOAT16 = 9; // CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
    private static final int MAP_NOT_INTERLEAVED = 0;
    private static final int MAP_SWIZZLED_BY_128 = 3;
    private static final int MAP_FETCHES_256 = 3; // bytes from far memory
    private static final int MAP_ZEROS_OUTSIDE = 0;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    private static final AddressLayout POINTER = ValueLayout.ADDRESS;

    private final Arena arena = Arena.ofShared();
    private final SymbolLookup symbols;
    private final MethodHandle launchKernel;
    private final MemorySegment slots = arena.allocate(8L * MOST_ARGUMENTS, 64);
    private final MemorySegment slotAddresses = arena.allocate(8L * MOST_ARGUMENTS, 8);
    private final MemorySegment parameters = arena.allocate(KERNEL_NODE_PARAMETERS, 8);
    private MethodHandle captureInfo;
    private MethodHandle setKernelParameters;
    private MethodHandle encodeTiled;

    DriverCalls() {
        try {
            this.symbols = SymbolLookup.libraryLookup("libcuda.so.1", arena);
            this.launchKernel =
                    function("cuLaunchKernel", LONG, INT, INT, INT, INT, INT, INT, INT, LONG, POINTER, POINTER);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
        for (int i = 0; i < MOST_ARGUMENTS; i++) {
            slotAddresses.setAtIndex(LONG, i, slots.address() + 8L * i);
        }
    }

    private MethodHandle function(String name, MemoryLayout... arguments) {
        MemorySegment symbol = symbols.find(name)
                .orElseThrow(() -> new IllegalStateException("the NVIDIA driver has no function " + name));
        return Linker.nativeLinker().downcallHandle(symbol, FunctionDescriptor.of(INT, arguments));
    }

    private void putArguments(Launch.Kernel launch) {
        long[] arguments = launch.arguments();
        for (int i = 0; i < arguments.length; i++) {
            slots.setAtIndex(LONG, i, arguments[i]);
        }
    }

    /** Starts a kernel on a stream. */
    void launch(Launch.Kernel launch, long stream) {
        putArguments(launch);
        int[] grid = launch.grid();
        int result;
        try {
            result = (int) launchKernel.invokeExact(
                    launch.function(),
                    grid[0],
                    grid[1],
                    grid[2],
                    grid[3],
                    grid[4],
                    1,
                    grid[5],
                    stream,
                    slotAddresses,
                    MemorySegment.NULL);
        } catch (Throwable e) {
            throw unchecked(e);
        }
        if (result != 0) {
            Device.check(result, "launching kernel " + launch);
        }
    }

    /** The node that the last launch on a stream became, while the stream is captured. */
    long lastNode(long stream) {
        try (Arena call = Arena.ofConfined()) {
            if (captureInfo == null) {
                captureInfo = function("cuStreamGetCaptureInfo_v2", LONG, POINTER, POINTER, POINTER, POINTER, POINTER);
            }
            MemorySegment out = call.allocate(40, 8);
            int result = (int) captureInfo.invokeExact(
                    stream, out, out.asSlice(8), out.asSlice(16), out.asSlice(24), out.asSlice(32));
            Device.check(result, "asking what was captured");
            long count = out.get(LONG, 32);
            if (out.get(INT, 0) != 1 || count != 1) {
                throw new IllegalStateException(
                        "the capture has status " + out.get(INT, 0) + " and " + count + " ends");
            }
            return MemorySegment.ofAddress(out.get(LONG, 24)).reinterpret(8).get(LONG, 0);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** Changes the arguments of a kernel of an executable graph. */
    void setArguments(long graph, long node, Launch.Kernel launch) {
        putArguments(launch);
        int[] grid = launch.grid();
        parameters.fill((byte) 0);
        parameters.set(LONG, 0, launch.function());
        for (int i = 0; i < 5; i++) {
            parameters.set(INT, 8 + 4L * i, grid[i]);
        }
        parameters.set(INT, 28, 1);
        parameters.set(INT, 32, grid[5]);
        parameters.set(LONG, 40, slotAddresses.address());
        try {
            if (setKernelParameters == null) {
                setKernelParameters = function("cuGraphExecKernelNodeSetParams_v2", LONG, LONG, POINTER);
            }
            Device.check(
                    (int) setKernelParameters.invokeExact(graph, node, parameters),
                    "changing the arguments of " + launch + " in a graph");
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /**
     * Describes a matrix in bfloat16, of as many dimensions as wanted, to the copy engine, which brings boxes of it, 128 bytes wide at the most, to
     * shared memory, swizzled by 128 bytes.
     *
     * @param address of the first element
     * @param sizes elements of each dimension, the innermost first
     * @param strides bytes from one to the next in all dimensions but the innermost
     * @param box elements of a box in each dimension
     * @return the words of a CUtensorMap
     */
    long[] tensorMap(long address, long[] sizes, long[] strides, int[] box) {
        try (Arena call = Arena.ofConfined()) {
            if (encodeTiled == null) {
                encodeTiled = function(
                        "cuTensorMapEncodeTiled",
                        POINTER,
                        INT,
                        INT,
                        LONG,
                        POINTER,
                        POINTER,
                        POINTER,
                        POINTER,
                        INT,
                        INT,
                        INT,
                        INT);
            }
            MemorySegment map = call.allocate(8L * TENSOR_MAP_WORDS, 64);
            int[] steps = new int[box.length];
            Arrays.fill(steps, 1);
            int result = (int) encodeTiled.invokeExact(
                    map,
                    MAP_OF_BFLOAT16,
                    sizes.length,
                    address,
                    call.allocateFrom(LONG, sizes),
                    call.allocateFrom(LONG, strides),
                    call.allocateFrom(INT, box),
                    call.allocateFrom(INT, steps),
                    MAP_NOT_INTERLEAVED,
                    MAP_SWIZZLED_BY_128,
                    MAP_FETCHES_256,
                    MAP_ZEROS_OUTSIDE);
            Device.check(result, "describing a matrix " + Arrays.toString(sizes) + " to the copy engine");
            return map.toArray(LONG);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    private static RuntimeException unchecked(Throwable e) {
        if (e instanceof RuntimeException exception) {
            return exception;
        }
        if (e instanceof Error error) {
            throw error;
        }
        return new IllegalStateException(e);
    }

    @Override
    public void close() {
        arena.close();
    }
}
