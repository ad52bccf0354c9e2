package io.mor.backend.reference;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import io.mor.api.plugin.NoConfig;
import java.util.List;

/** Brings the backend {@code reference}. */
public final class ReferencePlugin implements MorPlugin {

    /** For the service loader. */
    public ReferencePlugin() {}

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.BACKEND,
                "reference",
                ReferenceBackend.class,
                NoConfig.class,
                "plain loops in double precision: the definition of every kernel, for tests"));
    }
}
