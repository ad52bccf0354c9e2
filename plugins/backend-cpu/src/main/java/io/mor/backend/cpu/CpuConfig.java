package io.mor.backend.cpu;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * Config of the backend {@code cpu}.
 *
 * @param threads how many threads compute, the caller's among them; 0 for one per processor
 */
public record CpuConfig(
        @Help("threads that compute; 0 for one per processor") @Range(min = 0, max = 1024) @DefaultValue("0")
        int threads) {

    /** Checks the range. */
    public CpuConfig {
        if (threads < 0 || threads > 1024) {
            throw new IllegalArgumentException(
                    "threads is " + threads + ", which is not between 0 (one per processor) and 1024");
        }
    }

    /** The number of threads meant. */
    int resolvedThreads() {
        return threads == 0 ? Runtime.getRuntime().availableProcessors() : threads;
    }
}
