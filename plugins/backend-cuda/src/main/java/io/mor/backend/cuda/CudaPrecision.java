package io.mor.backend.cuda;

/** The format of a tensor's elements on the GPU. In configs in kebab case. */
public enum CudaPrecision {
    /** IEEE 32 bit, multiplied in full: no TF32. */
    F32
}
