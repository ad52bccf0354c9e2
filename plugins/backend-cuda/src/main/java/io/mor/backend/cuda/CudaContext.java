package io.mor.backend.cuda;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;

/** What the kernel families of one backend share: the device, its memory, its kernels, and scratch between two launches. */
final class CudaContext implements AutoCloseable {

    final Device device;
    final DeviceMemory memory;
    final Transfers transfers;
    final Kernels kernels;
    final LaunchQueue queue;
    final LaterReads laterReads;
    final TensorMaps tensorMaps;
    private final DriverCalls driver;
    private final Deque<AutoCloseable> owned = new ArrayDeque<>(); // the last one first
    private DeviceMemory.Block scratch;
    private boolean closed;

    /**
     * Takes the device; it is closed with this, also when this constructor fails.
     *
     * @param graphs whether what is repeated is replayed as graphs
     */
    CudaContext(Device device, KernelCompiler compiler, boolean graphs) {
        this.device = device;
        try {
            this.driver = own(new DriverCalls());
            StreamLaunches launches = new StreamLaunches(device, driver);
            this.tensorMaps = new TensorMaps(driver);
            this.queue = own(new LaunchQueue(launches, graphs));
            this.kernels = own(new Kernels(device, compiler, queue));
            this.memory = own(new DeviceMemory(device, queue::flush));
            Staging staging = own(new Staging(device, queue, memory));
            this.laterReads = own(new LaterReads(device, queue));
            launches.whenStarted(() -> {
                staging.started();
                laterReads.started();
            });
            this.transfers = own(new Transfers(device, queue, staging, kernels));
            this.scratch = memory.allocate(1 << 20, "scratch of the kernels");
        } catch (RuntimeException | Error e) {
            closeOwned();
            device.close(); // the context's end frees what was allocated in it
            throw e;
        }
    }

    private <T extends AutoCloseable> T own(T resource) {
        owned.addFirst(resource);
        return resource;
    }

    private void closeOwned() {
        for (AutoCloseable resource : owned) {
            try {
                resource.close();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
        owned.clear();
    }

    boolean isClosed() {
        return closed;
    }

    CudaTensor of(Tensor tensor) {
        if (!(tensor instanceof CudaTensor t)) {
            throw new IllegalArgumentException(
                    tensor.getClass().getName() + " is a tensor of another backend; copy its values over");
        }
        t.lifetime.check(this);
        return t;
    }

    CudaInts of(IntTensor tensor) {
        if (!(tensor instanceof CudaInts t)) {
            throw new IllegalArgumentException(
                    tensor.getClass().getName() + " is a vector of another backend; copy its values over");
        }
        t.lifetime.check(this);
        return t;
    }

    /** The address of an extent's count, 0 if its bound is exact. */
    long count(Extent extent) {
        Optional<IntTensor> count = extent.count();
        return count.isEmpty() ? 0 : of(count.get()).address;
    }

    Kernels kernel(String name) {
        if (!queue.keepsBack()) {
            device.makeCurrent();
        }
        return kernels.kernel(name);
    }

    /** The address of a tensor's values in bfloat16, of a copy that is renewed after the tensor was written. */
    long shadow(CudaTensor tensor) {
        return placeIn(shadowOf(tensor.lifetime), tensor);
    }

    /** The copy in bfloat16 of a whole memory, with its values as they are. */
    DeviceMemory.Block shadowOf(Lifetime lifetime) {
        DeviceMemory.Block copy =
                lifetime.shadow().orElseGet(() -> memory.allocate(lifetime.bytes / 2, "bfloat16 copy of " + lifetime));
        if (!lifetime.shadowHolds()) {
            long elements = lifetime.bytes / 4;
            kernel("narrowShadow")
                    .pointer(copy.address())
                    .pointer(lifetime.block.address())
                    .wide(elements)
                    .overElements((elements + 7) / 8);
            lifetime.shadowed(copy);
        }
        return copy;
    }

    /** Where a tensor's values are in a copy in bfloat16 of the memory in which it lies. */
    static long placeIn(DeviceMemory.Block copy, CudaTensor tensor) {
        return copy.address() + (tensor.address - tensor.lifetime.block.address()) / 2;
    }

    /** Memory for one kernel and those that follow it at once; the next call may hand out the same. */
    long scratch(long bytes) {
        if (scratch.bytes() < bytes) {
            DeviceMemory.Block larger = memory.allocate(bytes, "scratch of the kernels");
            memory.release(scratch);
            scratch = larger;
        }
        return scratch.address();
    }

    /** Waits for what runs and frees everything. */
    @Override
    public void close() {
        device.makeCurrent();
        queue.close(); // graphs before the kernels in them
        device.synchronize();
        closed = true;
        closeOwned();
        device.close();
    }
}
