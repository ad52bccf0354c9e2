package com.example.earlyexit;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.List;

/** Brings the router {@code convergence}. */
public final class EarlyExitPlugin implements MorPlugin {

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.ROUTER,
                "convergence",
                ConvergenceRouter.class,
                ConvergenceConfig.class,
                "a token exits when recursions no longer change it"));
    }
}
