package io.mor.backend.cuda;

/** Which of cuBLASLt's algorithms a large product in bfloat16 takes. In configs in kebab case. */
public enum CudaProducts {
    /** The library's first choice: the same in every process with the same library. */
    FIRST,
    /**
     * The fastest of its first eight, measured once for a shape and kept beside the compiled kernels: every later process takes the same as long as that
     * file is there. Elsewhere, or without it, the choice, and with it the rounding, may be another.
     */
    FASTEST
}
