/**
 * What the author of a router, recursion block, key-value cache, backend, tokenizer or metric sink sees of mor, and all that such a
 * plugin may depend on.
 *
 * <p>Every exported package holds interfaces, records and enums only; signatures carry JDK types and types of this module, never those
 * of a wiring, JSON or GPU library. Plugins are found through {@link io.mor.api.plugin.MorPlugin}.
 *
 * <p>Exported to everybody; opens nothing; requires {@code jakarta.inject} alone.
 */
module io.mor.api {
    requires transitive jakarta.inject;

    exports io.mor.api.backend;
    exports io.mor.api.block;
    exports io.mor.api.cache;
    exports io.mor.api.data;
    exports io.mor.api.metric;
    exports io.mor.api.model;
    exports io.mor.api.plugin;
    exports io.mor.api.routing;
    exports io.mor.api.tensor;

    uses io.mor.api.plugin.MorPlugin;
}
