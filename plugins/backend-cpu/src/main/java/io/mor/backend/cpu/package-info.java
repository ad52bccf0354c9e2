/**
 * The backend {@code cpu}. {@link io.mor.backend.cpu.CpuBackend} unwraps tensors and hands arrays to the kernels: {@code MatrixProduct} and
 * {@code AttentionForward} and {@code AttentionBackward} what most time goes to, {@code Elementwise} and {@code Columns} the vectorised loops,
 * {@code Selection} and {@code EntryTableKernels} the scalar ones. {@code Workers} is the pool of threads, {@code Memory} what is allocated.
 */
package io.mor.backend.cpu;
