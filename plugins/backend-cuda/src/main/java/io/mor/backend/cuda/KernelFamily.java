package io.mor.backend.cuda;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.Optional;

/** Kernels that belong together, and the words in which their launches are written. */
abstract class KernelFamily {

    final CudaContext context;

    KernelFamily(CudaContext context) {
        this.context = context;
    }

    final long address(Tensor tensor) {
        return context.of(tensor).address;
    }

    final long address(IntTensor tensor) {
        return context.of(tensor).address;
    }

    /** The address of what may be absent, 0 if it is. */
    final long address(Optional<IntTensor> tensor) {
        return tensor.isEmpty() ? 0 : address(tensor.get());
    }

    /** The address of an extent's count, 0 if its bound is exact. */
    final long count(Extent extent) {
        return context.count(extent);
    }

    final Kernels kernel(String name) {
        return context.kernel(name);
    }

    /** Appends bound, count and columns of a tensor's rows. */
    final Kernels shape(Kernels launch, Tensor tensor) {
        return launch.integer(tensor.rows()).pointer(count(tensor.extent())).integer(tensor.columns());
    }

    static long elements(Tensor tensor) {
        return (long) tensor.rows() * tensor.columns();
    }

    /** Memory for one kernel and those that follow it at once; the next call may hand out the same. */
    final long scratch(long bytes) {
        return context.scratch(bytes);
    }
}
