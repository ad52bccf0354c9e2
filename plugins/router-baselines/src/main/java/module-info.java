/**
 * Routers that learn nothing, to compare with: random selection, and the same depth for every token.
 *
 * <p>Exports {@code io.mor.router.baselines} so that the runtime can make its classes and a builder its configs; opens nothing.
 */
module io.mor.router.baselines {
    requires io.mor.api;

    exports io.mor.router.baselines;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.router.baselines.BaselinePlugin;
}
