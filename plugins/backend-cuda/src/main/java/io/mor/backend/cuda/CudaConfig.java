package io.mor.backend.cuda;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import java.nio.file.Path;
import java.util.Objects;

/**
 * What can be configured of the backend {@code cuda}.
 *
 * @param device the number of the GPU, from 0, as {@code nvidia-smi} counts
 * @param precision the format of tensors
 * @param mode which promises matrix products keep
 * @param graphs whether steps that repeat are replayed as CUDA graphs; the results are the same
 * @param products which of cuBLASLt's algorithms large products in bfloat16 take
 * @param cacheFolder where compiled kernels are kept; empty for {@code mor/cuda} in the user's cache folder
 */
public record CudaConfig(
        @Help("which GPU, from 0") @Range(min = 0) @DefaultValue("0")
        int device,

        @Help("format of activations: f32 or bf16") @DefaultValue("f32")
        CudaPrecision precision,

        @Help("invariant: a row's result never depends on the other rows; fast: matrix products by cuBLASLt")
        @DefaultValue("invariant")
        CudaMode mode,

        @Help(
                "whether steps that repeat are replayed as CUDA graphs, which saves the time to launch kernels; results are the same")
        @DefaultValue("true")
        boolean graphs,

        @Help(
                "mode fast, precision bf16: first takes cuBLASLt's first choice for a product; fastest measures its choices once and keeps the result in the cache folder")
        @DefaultValue("first")
        CudaProducts products,

        @Help("folder for compiled kernels; empty for the user's cache folder") @DefaultValue("")
        String cacheFolder) {

    /** Checks for null. */
    public CudaConfig {
        Objects.requireNonNull(precision, "precision is null");
        Objects.requireNonNull(mode, "mode is null");
        Objects.requireNonNull(products, "products is null");
        Objects.requireNonNull(cacheFolder, "cacheFolder is null");
    }

    /** The library's first choice for products. */
    public CudaConfig(int device, CudaPrecision precision, CudaMode mode, boolean graphs, String cacheFolder) {
        this(device, precision, mode, graphs, CudaProducts.FIRST, cacheFolder);
    }

    /** GPU 0, single precision, row-independent products. */
    public static CudaConfig defaults() {
        return new CudaConfig(0, CudaPrecision.F32, CudaMode.INVARIANT, true, "");
    }

    /** The folder for compiled kernels. */
    Path kernelFolder() {
        if (!cacheFolder.isEmpty()) {
            return Path.of(cacheFolder);
        }
        String cache = System.getenv("XDG_CACHE_HOME");
        Path base =
                cache == null || cache.isEmpty() ? Path.of(System.getProperty("user.home"), ".cache") : Path.of(cache);
        return base.resolve("mor").resolve("cuda");
    }
}
