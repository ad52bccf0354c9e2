/**
 * Expert-choice routing (spec 2): at every recursion a router scores the tokens still active and the best ones go on. With it the causal
 * rules of selection by which such a model generates (spec 2.7).
 *
 * <p>Exports {@code io.mor.router.expertchoice} so that the runtime can make its classes and a builder its configs; opens nothing.
 */
module io.mor.router.expertchoice {
    requires io.mor.api;

    exports io.mor.router.expertchoice;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.router.expertchoice.ExpertChoicePlugin;
}
