package io.mor.router.expertchoice;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import io.mor.api.plugin.NoConfig;
import java.util.List;

/** Brings the router {@code expert-choice} and the selectors by which it decides causally. */
public final class ExpertChoicePlugin implements MorPlugin {

    @Override
    public List<Extension> extensions() {
        return List.of(
                new Extension(
                                ExtensionKind.ROUTER,
                                "expert-choice",
                                ExpertChoiceRouter.class,
                                ExpertChoiceConfig.class,
                                "each recursion takes its capacity's share of the best-scored tokens still active")
                        .withDefaultSelector("ema-cutoff"),
                new Extension(
                        ExtensionKind.SELECTOR,
                        "logit-threshold",
                        LogitThresholdSelector.class,
                        NoConfig.class,
                        "a token goes on if the router's logit is at least 0"),
                new Extension(
                        ExtensionKind.SELECTOR,
                        "auxiliary-router",
                        AuxiliaryRouterSelector.class,
                        NoConfig.class,
                        "a token goes on if the auxiliary router's logit is at least 0"),
                new Extension(
                        ExtensionKind.SELECTOR,
                        "ema-cutoff",
                        EmaCutoffSelector.class,
                        EmaCutoffConfig.class,
                        "a token goes on if its score is above a cut-off tracked in training"),
                new Extension(
                        ExtensionKind.SELECTOR,
                        "fixed-depth",
                        FixedDepthSelector.class,
                        FixedDepthConfig.class,
                        "every token runs the same number of recursions"),
                new Extension(
                        ExtensionKind.SELECTOR,
                        "random",
                        RandomSelector.class,
                        NoConfig.class,
                        "a token goes on with the probability that its recursion's capacity asks for"));
    }
}
