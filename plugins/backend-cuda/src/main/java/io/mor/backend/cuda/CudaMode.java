package io.mor.backend.cuda;

/** Which promises matrix products keep. In configs in kebab case. Both modes give the same bits for the same call. */
public enum CudaMode {
    /** A row's result is the same bits whatever other rows are in the call, so prefill equals decode; own kernels. */
    INVARIANT,
    /** Matrix products by cuBLASLt, which may choose another order of summation for another number of rows. */
    FAST
}
