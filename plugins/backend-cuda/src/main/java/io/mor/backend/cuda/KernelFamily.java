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

    private CudaTensor operand(Tensor tensor) {
        CudaTensor t = context.of(tensor);
        context.kernels.operand((double) t.size() * t.elementBytes());
        return t;
    }

    /** A tensor that is read, as the kernels' {@code Values}; in single precision it is a plain address. */
    final long address(Tensor tensor) {
        return operand(tensor).values();
    }

    /** A tensor that is written, and perhaps read, as the kernels' {@code Values}. */
    final long target(Tensor tensor) {
        CudaTensor t = operand(tensor);
        t.lifetime.written();
        return t.values();
    }

    /** The first byte of a tensor that is read. */
    final long bytes(Tensor tensor) {
        return operand(tensor).address;
    }

    /** The first byte of a tensor that is written. */
    final long targetBytes(Tensor tensor) {
        CudaTensor t = operand(tensor);
        t.lifetime.written();
        return t.address;
    }

    final boolean isNarrow(Tensor tensor) {
        return context.of(tensor).isNarrow;
    }

    /** Whether the kernels for whole vectors of bfloat16 can take these. */
    final boolean areVectors(Tensor... tensors) {
        for (Tensor tensor : tensors) {
            if (!context.of(tensor).isVectors()) {
                return false;
            }
        }
        return true;
    }

    /** Appends bound, count and vectors of a tensor's rows. */
    final Kernels vectors(Kernels launch, Tensor tensor) {
        return launch.integer(tensor.rows()).pointer(count(tensor.extent())).integer(tensor.columns() / 8);
    }

    static long vectorCount(Tensor tensor) {
        return elements(tensor) / 8;
    }

    /** A vector that is read. */
    final long address(IntTensor tensor) {
        return context.of(tensor).address;
    }

    /** A vector that is written. */
    final long target(IntTensor tensor) {
        CudaInts ints = context.of(tensor);
        ints.lifetime.written();
        return ints.address;
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
