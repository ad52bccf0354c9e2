package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.ServiceLoader;

/** Finds the backend that others are compared with. */
final class ReferenceBackends {

    private ReferenceBackends() {}

    /**
     * A new backend: the extension {@code reference} found by the service loader.
     *
     * @throws IllegalStateException if it is not on the path
     */
    static Backend create(ClassLoader loader) {
        for (MorPlugin plugin : ServiceLoader.load(MorPlugin.class, loader)) {
            for (Extension extension : plugin.extensions()) {
                if (extension.kind() == ExtensionKind.BACKEND && extension.id().equals("reference")) {
                    try {
                        return (Backend)
                                extension.implementation().getConstructor().newInstance();
                    } catch (ReflectiveOperationException e) {
                        throw new IllegalStateException(
                                "the reference backend cannot be made by "
                                        + extension.implementation().getName() + "()",
                                e);
                    }
                }
            }
        }
        throw new IllegalStateException(
                "no backend 'reference' on the path; add mor-backend-reference as a test dependency, or say which backend to use");
    }
}
