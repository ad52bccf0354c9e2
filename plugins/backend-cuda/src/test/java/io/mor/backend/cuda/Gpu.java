package io.mor.backend.cuda;

import java.nio.file.Path;

/** How tests open the GPU. */
final class Gpu {

    private Gpu() {}

    static CudaBackend open(CudaMode mode) {
        return new CudaBackend(
                new CudaConfig(0, CudaPrecision.F32, mode, cacheFolder().toString()));
    }

    /** One for all tests, so that kernels are compiled once. */
    static Path cacheFolder() {
        return Path.of(System.getProperty("java.io.tmpdir"), "mor-cuda-tests");
    }
}
