package com.example.windowed;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * The keys under {@code kv-cache:} besides its type.
 *
 * @param window positions that later recursions see, the token's own among them
 */
public record WindowedConfig(
        @Help("positions that later recursions see, the token's own among them") @DefaultValue("64") @Range(min = 1)
        int window) {}
