/**
 * The tests that every plugin extends, ours first: contracts of the extension points as JUnit 5 base classes, and wrappers that make a
 * broken promise loud.
 *
 * <p>Exports its one package for the tests of plugins and opens it to JUnit, which calls inherited tests reflectively. Depends on JUnit,
 * the API and the runtime, which runs routers and selectors as a model does; the reference backend is found through {@link
 * io.mor.api.plugin.MorPlugin}.
 */
module io.mor.testkit {
    requires transitive io.mor.api;
    requires transitive io.mor.runtime;
    requires transitive org.junit.jupiter.api;
    requires transitive org.junit.jupiter.params;

    exports io.mor.testkit;

    opens io.mor.testkit to
            org.junit.platform.commons;

    uses io.mor.api.plugin.MorPlugin;
}
