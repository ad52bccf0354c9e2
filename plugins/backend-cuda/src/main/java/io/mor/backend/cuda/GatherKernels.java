package io.mor.backend.cuda;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.Optional;

/** Gather and scatter of rows. */
final class GatherKernels extends KernelFamily {

    private static final int SORTED_TOGETHER = 2048; // keys that one block sorts in shared memory

    private final ElementwiseKernels elementwise;

    GatherKernels(CudaContext context, ElementwiseKernels elementwise) {
        super(context);
        this.elementwise = elementwise;
    }

    void gatherRows(Tensor out, Tensor x, IntTensor index, boolean accumulate) {
        if (!accumulate && areVectors(out) && (isNarrow(x) ? areVectors(x) : bytes(x) % 16 == 0)) {
            vectors(
                            kernel("narrowGather")
                                    .pointer(targetBytes(out))
                                    .pointer(address(x))
                                    .pointer(address(index)),
                            out)
                    .overElements(vectorCount(out));
            return;
        }
        shape(kernel("gatherRows").pointer(target(out)).pointer(address(x)).pointer(address(index)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    void scatterRows(Tensor out, IntTensor index, Tensor x) {
        shape(kernel("scatterRows").pointer(target(out)).pointer(address(index)).pointer(address(x)), x)
                .overElements(elements(x));
    }

    void scatterAddRows(Tensor out, IntTensor index, Tensor x) {
        int rows = x.rows();
        if (rows == 0) {
            return;
        }
        int size = Math.max(SORTED_TOGETHER, Integer.highestOneBit(Math.max(1, rows - 1)) << 1);
        long keys = scratch(8L * size);
        kernel("scatterKeys")
                .pointer(keys)
                .pointer(address(index))
                .integer(rows)
                .pointer(count(x.extent()))
                .integer(size)
                .overElements(size);
        int blocks = size / SORTED_TOGETHER;
        kernel("sortNear")
                .pointer(keys)
                .integer(2)
                .integer(SORTED_TOGETHER)
                .launch(blocks, 1, 1, SORTED_TOGETHER / 2, 1, 0);
        for (int run = 2 * SORTED_TOGETHER; run <= size; run *= 2) {
            for (int distance = run / 2; distance >= SORTED_TOGETHER; distance /= 2) {
                kernel("sortFar")
                        .pointer(keys)
                        .integer(size / 2)
                        .integer(run)
                        .integer(distance)
                        .overElements(size / 2);
            }
            kernel("sortNear").pointer(keys).integer(run).integer(run).launch(blocks, 1, 1, SORTED_TOGETHER / 2, 1, 0);
        }
        shape(kernel("addSortedRows").pointer(target(out)).pointer(keys).pointer(address(x)), x)
                .launch(Math.min(rows, 1 << 20), Math.min((x.columns() + 127) / 128, 65535), 1, 128, 1, 0);
    }

    void pickColumn(Tensor out, Tensor x, IntTensor column) {
        kernel("pickColumn")
                .pointer(target(out))
                .pointer(address(x))
                .pointer(address(column))
                .integer(out.rows())
                .pointer(count(out.extent()))
                .integer(x.columns())
                .overElements(out.rows());
    }

    void pickColumnBackward(Tensor dx, IntTensor column, Tensor dy) {
        kernel("pickColumnBackward")
                .pointer(target(dx))
                .pointer(address(column))
                .pointer(address(dy))
                .integer(dy.rows())
                .pointer(count(dy.extent()))
                .integer(dx.columns())
                .overElements(dy.rows());
    }

    void gatherInts(IntTensor out, IntTensor table, IntTensor index, Extent extent) {
        kernel("gatherInts")
                .pointer(target(out))
                .pointer(address(table))
                .pointer(address(index))
                .integer(extent.bound())
                .pointer(count(extent))
                .overElements(extent.bound());
    }

    void toColumn(Tensor out, IntTensor values) {
        kernel("toColumn")
                .pointer(target(out))
                .pointer(address(values))
                .integer(out.rows())
                .pointer(count(out.extent()))
                .overElements(out.rows());
    }

    void addToRows(Tensor out, Tensor base, IntTensor index, Tensor x, Optional<Tensor> gate) {
        if (address(out) != address(base)) {
            elementwise.copy(out, base);
        }
        if (areVectors(out, x) && (gate.isEmpty() || !isNarrow(gate.get()))) {
            vectors(
                            kernel("narrowAddToRows")
                                    .pointer(targetBytes(out))
                                    .pointer(address(index))
                                    .pointer(bytes(x))
                                    .pointer(gate.isEmpty() ? 0 : bytes(gate.get())),
                            x)
                    .overElements(vectorCount(x));
            return;
        }
        shape(
                        kernel("addToRows")
                                .pointer(target(out))
                                .pointer(address(index))
                                .pointer(address(x))
                                .pointer(gate.isEmpty() ? 0 : address(gate.get())),
                        x)
                .overElements(elements(x));
    }
}
