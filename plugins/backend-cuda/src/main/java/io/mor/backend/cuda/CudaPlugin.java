package io.mor.backend.cuda;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.List;

/** Brings the backend {@code cuda}. */
public final class CudaPlugin implements MorPlugin {

    /** For the service loader. */
    public CudaPlugin() {}

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.BACKEND,
                "cuda",
                CudaBackend.class,
                CudaConfig.class,
                "one NVIDIA GPU, in single precision"));
    }

    /** What {@link CudaDoctor} finds. */
    @Override
    public List<String> diagnosis() {
        return CudaDoctor.examine().lines();
    }
}
