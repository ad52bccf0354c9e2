package io.mor.backend.cpu;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.List;

/** Brings the backend {@code cpu}. */
public final class CpuPlugin implements MorPlugin {

    /** For the service loader. */
    public CpuPlugin() {}

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.BACKEND,
                "cpu",
                CpuBackend.class,
                CpuConfig.class,
                "single precision on all processors, with the vector instructions of the machine"));
    }
}
