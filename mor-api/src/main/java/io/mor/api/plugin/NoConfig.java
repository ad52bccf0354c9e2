package io.mor.api.plugin;

/**
 * The config of an extension that has nothing to configure.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record NoConfig() {}
