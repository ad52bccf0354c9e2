package io.mor.router.tokenchoice;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.List;

/** Brings the router {@code token-choice}. */
public final class TokenChoicePlugin implements MorPlugin {

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.ROUTER,
                "token-choice",
                TokenChoiceRouter.class,
                TokenChoiceConfig.class,
                "each token's depth is decided once, before the first recursion"));
    }
}
