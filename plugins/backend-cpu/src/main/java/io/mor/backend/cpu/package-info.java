/**
 * The backend {@code cpu}. {@link io.mor.backend.cpu.CpuBackend} unwraps tensors and hands arrays to the kernels: {@code MatrixProduct} and
 * {@code Attention} hold the two that matter, {@code Elementwise}, {@code Rows}, {@code Columns} and {@code Softmax} the vectorised loops,
 * {@code Selection} and {@code EntryTableKernels} the scalar ones. {@code Workers} is the pool of threads, {@code Memory} what is allocated.
 */
package io.mor.backend.cpu;
