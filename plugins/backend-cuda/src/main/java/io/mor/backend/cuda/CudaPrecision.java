package io.mor.backend.cuda;

/** The format of a tensor's elements on the GPU. In configs in kebab case. */
public enum CudaPrecision {
    /** IEEE 32 bit, multiplied in full: no TF32. */
    F32,
    /**
     * Activations and their gradients of 16 columns or more in bfloat16, the residual stream among them, and products of bfloat16 with sums in 32
     * bit. Weights, their gradients, the optimizer, statistics of norms and softmax, narrower tensors (logits of routers, gates) and losses stay
     * in 32 bit.
     */
    BF16
}
