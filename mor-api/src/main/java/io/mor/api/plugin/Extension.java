package io.mor.api.plugin;

import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * One thing that a plugin brings.
 *
 * @param kind the extension point
 * @param id the stable kebab-case name used in configs and checkpoints, for example {@code expert-choice}
 * @param implementation a public class with a public constructor annotated {@code @jakarta.inject.Inject} (or a public no-argument one).
 *     Its parameters may be the config record, {@link io.mor.api.model.ModelShape}, for a block also {@link
 *     io.mor.api.block.BlockPlacement}, and any API type the runtime binds
 * @param config the config record, annotated with {@link Help}, {@link Range} and {@link DefaultValue}; {@link NoConfig} if there is
 *     nothing to configure
 * @param help one line for listings
 * @param defaultSelector for a router that needs a causal {@link io.mor.api.routing.Selector}: the id of the one that generation uses unless the config
 *     names another; empty otherwise
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record Extension(
        ExtensionKind kind,
        String id,
        Class<?> implementation,
        Class<? extends Record> config,
        String help,
        Optional<String> defaultSelector) {

    private static final Pattern KEBAB_CASE = Pattern.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*");

    /** Checks the id and that the implementation fits the kind. */
    public Extension {
        Objects.requireNonNull(kind, "kind is null");
        Objects.requireNonNull(id, "id is null");
        Objects.requireNonNull(implementation, "implementation is null");
        Objects.requireNonNull(config, "config is null");
        Objects.requireNonNull(help, "help is null");
        Objects.requireNonNull(defaultSelector, "defaultSelector is null");
        if (defaultSelector.isPresent() && kind != ExtensionKind.ROUTER) {
            throw new IllegalArgumentException("extension '" + id + "' of kind " + kind.id()
                    + " names a default selector, which only a router can");
        }
        if (!KEBAB_CASE.matcher(id).matches()) {
            throw new IllegalArgumentException("extension id '" + id + "' is not kebab-case, like 'expert-choice'");
        }
        if (!kind.type().isAssignableFrom(implementation)) {
            throw new IllegalArgumentException(
                    "extension '" + id + "' of kind " + kind.id() + ": " + implementation.getName()
                            + " does not implement " + kind.type().getName());
        }
    }

    /** An extension without a default selector. */
    public Extension(
            ExtensionKind kind, String id, Class<?> implementation, Class<? extends Record> config, String help) {
        this(kind, id, implementation, config, help, Optional.empty());
    }

    /** This router, with the selector that generation uses unless the config names another. */
    public Extension withDefaultSelector(String selectorId) {
        return new Extension(kind, id, implementation, config, help, Optional.of(selectorId));
    }
}
