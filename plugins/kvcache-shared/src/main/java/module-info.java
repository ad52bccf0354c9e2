/**
 * Recursive sharing of keys and values (spec 4.1) and its hybrid form (spec 4.4): later recursions read what recursion 1 stored.
 *
 * <p>Exports {@code io.mor.kvcache.shared} so that the runtime can make its classes; opens nothing.
 */
module io.mor.kvcache.shared {
    requires io.mor.api;

    exports io.mor.kvcache.shared;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.kvcache.shared.SharedCachePlugin;
}
