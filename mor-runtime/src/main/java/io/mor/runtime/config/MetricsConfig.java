package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import java.util.List;

/**
 * The {@code metrics} section.
 *
 * @param sinks where figures go
 */
public record MetricsConfig(
        @Help("where figures go; of the default those that are there") @DefaultValue("[jsonl, tensorboard]")
        List<ExtensionConfig> sinks) {

    /** What a config that says nothing has. */
    static final MetricsConfig DEFAULT =
            new MetricsConfig(List.of(ExtensionConfig.of("jsonl"), ExtensionConfig.of("tensorboard")));
}
