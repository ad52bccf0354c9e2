/**
 * The backend {@code reference}: every kernel as a plain loop over doubles. It is the definition that other backends are tested against
 * and the one on which gradients are checked; it is not fast.
 *
 * <p>Exports its one package, for embedding and for tests; opens nothing. Found as a {@link io.mor.api.plugin.MorPlugin}.
 */
module io.mor.backend.reference {
    requires transitive io.mor.api;

    exports io.mor.backend.reference;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.backend.reference.ReferencePlugin;
}
