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
        @Help("where figures go") @DefaultValue("[jsonl, tensorboard]")
        List<ExtensionConfig> sinks) {}
