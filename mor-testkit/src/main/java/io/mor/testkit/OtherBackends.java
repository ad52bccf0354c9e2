package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.MorException;
import io.mor.runtime.plugin.ExtensionFactory;
import io.mor.runtime.plugin.FoundExtension;
import io.mor.runtime.plugin.PluginCatalog;
import java.util.Map;
import java.util.function.Consumer;
import org.opentest4j.TestAbortedException;

/** The backends on the path, besides the reference, that work on this machine. */
final class OtherBackends {

    private OtherBackends() {}

    /**
     * A backend to compare with the reference.
     *
     * @param id of its extension
     * @param tolerance of a value in a small model, relative to the larger of 1 and the exact value
     */
    record Other(String id, Backend backend, double tolerance) {}

    /**
     * Runs a comparison on each, one after the other.
     *
     * @throws TestAbortedException if there is none, so that the test counts as skipped
     */
    static void forEach(Consumer<Other> comparison) {
        int compared = 0;
        try (PluginCatalog catalog = PluginCatalog.discover();
                ExtensionFactory factory = new ExtensionFactory(catalog)) {
            for (FoundExtension found : catalog.extensions(ExtensionKind.BACKEND)) {
                String id = found.extension().id();
                if (id.equals("reference")) {
                    continue;
                }
                Backend made;
                try {
                    made = factory.create(ExtensionKind.BACKEND, id, Map.of(), Map.of());
                } catch (MorException cannotBeMadeHere) {
                    continue;
                }
                try (Backend backend = made) {
                    comparison.accept(new Other(id, backend, tolerance(backend)));
                }
                compared++;
            }
        }
        if (compared == 0) {
            throw new TestAbortedException(
                    "no other backend on the test's class path works here; add mor-backend-cpu as a test dependency");
        }
    }

    private static double tolerance(Backend backend) {
        return switch (backend.precision()) {
            case FLOAT64 -> 1e-9;
            case FLOAT32 -> 1e-4;
            case BFLOAT16 -> 0.1;
        };
    }
}
