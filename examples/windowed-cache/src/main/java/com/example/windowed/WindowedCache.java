package com.example.windowed;

import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvVisit;
import jakarta.inject.Inject;

/**
 * Recursion 1 sees everything, later recursions only the last {@code window} positions of their own: what is far away was taken in at the first
 * pass. A policy, not a store: mor keeps the keys and values, in training and in generation, as the plan says.
 */
public final class WindowedCache implements KvCache {

    private final int window;

    /** Called by mor with the config record that the plugin names. */
    @Inject
    public WindowedCache(WindowedConfig config) {
        this.window = config.window();
    }

    @Override
    public KvVisit visit(int recursion, int recursions, int layer) {
        boolean writes = true;
        boolean overlays = false;
        return recursion == 1 ? KvVisit.own(1) : new KvVisit(writes, recursion, overlays, window);
    }
}
