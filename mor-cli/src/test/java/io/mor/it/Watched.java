package io.mor.it;

import io.mor.api.backend.Backend;
import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import io.mor.backend.cpu.CpuBackend;
import io.mor.backend.cpu.CpuConfig;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.plugin.PluginCatalog;
import io.mor.testkit.AssertingBackend;
import jakarta.inject.Inject;
import java.util.List;
import java.util.ServiceLoader;

/**
 * Where the tests of models get their backends: around each is a watch for leaks, double releases, use after release, operands that do not fit and
 * indices out of bounds. It reads counts and indices back, so a GPU's backend, whose steps are captured, and a test's own are left as they are.
 */
public final class Watched {

    private Watched() {}

    /** A backend with the watch around it, if it can have one. */
    static Backend backend(Backend backend) {
        boolean onThisMachine = backend instanceof ReferenceBackend || backend instanceof CpuBackend;
        return onThisMachine ? new AssertingBackend(backend) : backend;
    }

    /** With the plugins on the class path, whose backends {@code reference} and {@code cpu} have the watch around them. */
    static Mor mor() {
        return Mor.of(PluginCatalog.of(ServiceLoader.load(MorPlugin.class).stream()
                .map(ServiceLoader.Provider::get)
                .map(WatchedPlugin::new)
                .toArray(MorPlugin[]::new)));
    }

    private record WatchedPlugin(MorPlugin plugin) implements MorPlugin {

        @Override
        public List<Extension> extensions() {
            return plugin.extensions().stream().map(WatchedPlugin::watched).toList();
        }

        private static Extension watched(Extension extension) {
            if (extension.kind() != ExtensionKind.BACKEND) {
                return extension;
            }
            return switch (extension.id()) {
                case "reference" -> with(extension, Reference.class);
                case "cpu" -> with(extension, Cpu.class);
                default -> extension;
            };
        }

        private static Extension with(Extension extension, Class<? extends Backend> implementation) {
            return new Extension(
                    extension.kind(), extension.id(), implementation, extension.config(), extension.help());
        }
    }

    /** The backend {@code reference}. */
    public static final class Reference extends AssertingBackend {

        /** As its config, which has no keys. */
        public Reference() {
            super(new ReferenceBackend());
        }
    }

    /** The backend {@code cpu}. */
    public static final class Cpu extends AssertingBackend {

        /** Of a config. */
        @Inject
        public Cpu(CpuConfig config) {
            super(new CpuBackend(config));
        }
    }
}
