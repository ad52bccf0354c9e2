/**
 * Token-choice routing (spec 3): a router decides once, before the first recursion, how many recursions a token gets.
 *
 * <p>Exports {@code io.mor.router.tokenchoice} so that the runtime can make its classes and a builder its configs; opens nothing.
 */
module io.mor.router.tokenchoice {
    requires io.mor.api;

    exports io.mor.router.tokenchoice;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.router.tokenchoice.TokenChoicePlugin;
}
