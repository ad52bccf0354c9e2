package io.mor.router.baselines;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.List;

/** Brings the routers {@code random} and {@code fixed-depth}. */
public final class BaselinePlugin implements MorPlugin {

    @Override
    public List<Extension> extensions() {
        return List.of(
                new Extension(
                        ExtensionKind.ROUTER,
                        "random",
                        RandomRouter.class,
                        RandomRouterConfig.class,
                        "expert-choice's capacities on random scores, with a constant gate"),
                new Extension(
                        ExtensionKind.ROUTER,
                        "fixed-depth",
                        FixedDepthRouter.class,
                        FixedDepthRouterConfig.class,
                        "every token runs the same number of recursions: a plain recursive model"));
    }
}
