package io.mor.backend.cpu;

import io.mor.api.tensor.Tensor;

/** The matrix product. */
final class ProductKernels extends KernelFamily {

    private final MatrixProduct product;

    ProductKernels(Memory memory, Workers workers) {
        super(memory, workers);
        product = new MatrixProduct(workers, memory);
    }

    void matmul(Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor left = of(a);
        CpuTensor right = of(b);
        int m = transposeA ? left.columns() : rows(out);
        int k = transposeA ? rows(a) : left.columns();
        product.multiply(o, m, o.columns(), k, left, transposeA, right, transposeB, accumulate);
    }
}
