package io.mor.backend.cuda;

import java.nio.file.Path;

/** How tests open the GPU. */
final class Gpu {

    private Gpu() {}

    static CudaBackend open(CudaMode mode) {
        return open(mode, CudaPrecision.F32);
    }

    static CudaBackend open(CudaMode mode, CudaPrecision precision) {
        return new CudaBackend(
                new CudaConfig(0, precision, mode, true, cacheFolder().toString()));
    }

    /** One for all tests, so that kernels are compiled once. */
    static Path cacheFolder() {
        return Path.of(System.getProperty("java.io.tmpdir"), "mor-cuda-tests");
    }
}
