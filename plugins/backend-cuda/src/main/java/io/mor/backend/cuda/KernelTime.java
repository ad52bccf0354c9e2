package io.mor.backend.cuda;

/**
 * What one kind of kernel took on the GPU in a piece of work.
 *
 * @param kernel its name; of products with their sizes, {@code product [m, n] over k}
 * @param calls how often it was launched
 * @param seconds on the GPU, all calls together
 * @param bytes of the tensors it was given, all calls together, each operand counted once a call
 * @param operations of products, two a multiply-add; 0 for other kernels
 */
public record KernelTime(String kernel, int calls, double seconds, double bytes, double operations) {}
