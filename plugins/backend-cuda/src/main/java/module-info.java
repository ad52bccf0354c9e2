/**
 * The backend {@code cuda}: memory and kernels of one NVIDIA GPU. JCuda drives the device; NVRTC compiles the kernels, which are CUDA C++ sources
 * among this module's resources, for the card that is there; cuBLASLt multiplies matrices in the fast mode. The latter two are looked for
 * on the machine, of CUDA 12 or 13.
 *
 * <p>Exports its one package, for embedding, for {@code mor doctor} and for tests; opens nothing. Found as a {@link
 * io.mor.api.plugin.MorPlugin}.
 */
module io.mor.backend.cuda {
    requires transitive io.mor.api;
    requires jcuda;

    exports io.mor.backend.cuda;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.backend.cuda.CudaPlugin;
}
