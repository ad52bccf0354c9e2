/**
 * Recursion-wise caching (spec 4.1): every recursion keeps and reads the keys and values of the tokens that entered it.
 *
 * <p>Exports {@code io.mor.kvcache.recursionwise} so that the runtime can make its classes; opens nothing.
 */
module io.mor.kvcache.recursionwise {
    requires io.mor.api;

    exports io.mor.kvcache.recursionwise;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.kvcache.recursionwise.RecursionWiseCachePlugin;
}
