package io.mor.runtime.plugin;

import io.mor.api.data.Tokenizer;
import io.mor.api.plugin.ExtensionKind;
import java.io.File;
import java.lang.module.Configuration;
import java.lang.module.ModuleFinder;
import java.lang.reflect.InvocationTargetException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/** The runtime as a host on the class path (this one) and as a named module (in a layer of this JVM), behind one interface. */
final class TestHosts {

    private TestHosts() {}

    /** What the tests ask of a host; failures of the runtime come out as they are. */
    interface Host {
        /** A catalog of these plugin folders. */
        AutoCloseable discover(List<Path> folders) throws Exception;

        /** The names and places of its extensions. */
        List<String> extensions(AutoCloseable catalog) throws Exception;

        /** A new tokenizer of the host's own API type. */
        Object tokenizer(AutoCloseable catalog, String id, Map<String, Object> options) throws Exception;

        /** The fingerprint of a tokenizer. */
        String fingerprint(Object tokenizer) throws Exception;
    }

    private static List<Path> classPath() {
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .map(Path::of)
                .toList();
    }

    /** What a plugin author compiles with. */
    static List<String> apiPath() {
        List<String> path = classPath().stream()
                .filter(entry -> holds(entry, "io.mor.api") || holds(entry, "jakarta.inject"))
                .map(Path::toString)
                .toList();
        if (path.size() != 2) {
            throw new IllegalStateException("mor-api and jakarta.inject should be on the class path: " + path);
        }
        return path;
    }

    private static boolean holds(Path entry, String module) {
        return isModule(entry) && ModuleFinder.of(entry).find(module).isPresent();
    }

    private static boolean isModule(Path entry) {
        return entry.toString().endsWith(".jar")
                ? Files.exists(entry)
                : Files.exists(entry.resolve("module-info.class"));
    }

    static Stream<Host> all() {
        return Stream.of(new ClassPathHost(), new ModuleHost());
    }

    private static final class ClassPathHost implements Host {

        @Override
        public AutoCloseable discover(List<Path> folders) {
            return PluginCatalog.discover(folders);
        }

        @Override
        public List<String> extensions(AutoCloseable catalog) {
            return ((PluginCatalog) catalog)
                    .extensions().stream().map(FoundExtension::describe).toList();
        }

        @Override
        public Object tokenizer(AutoCloseable catalog, String id, Map<String, Object> options) {
            try (ExtensionFactory factory = new ExtensionFactory((PluginCatalog) catalog)) {
                return factory.<Tokenizer>create(ExtensionKind.TOKENIZER, id, options, Map.of());
            }
        }

        @Override
        public String fingerprint(Object tokenizer) {
            return ((Tokenizer) tokenizer).fingerprint();
        }

        @Override
        public String toString() {
            return "class path";
        }
    }

    /** The types of another layer are other types, hence reflection. */
    private static final class ModuleHost implements Host {

        private final ClassLoader loader;

        ModuleHost() {
            ModuleFinder finder = ModuleFinder.of(
                    classPath().stream().filter(TestHosts::isModule).toArray(Path[]::new));
            Configuration configuration =
                    ModuleLayer.boot().configuration().resolve(finder, ModuleFinder.of(), Set.of("io.mor.runtime"));
            loader = ModuleLayer.defineModulesWithOneLoader(
                            configuration, List.of(ModuleLayer.boot()), ClassLoader.getPlatformClassLoader())
                    .layer()
                    .findLoader("io.mor.runtime");
        }

        private Class<?> type(String name) throws ClassNotFoundException {
            Class<?> type = loader.loadClass(name);
            if (!type.getModule().isNamed()) {
                throw new IllegalStateException(name + " should be in a named module");
            }
            return type;
        }

        private static Object call(
                Class<?> type, Object target, String method, Class<?>[] parameters, Object... arguments)
                throws Exception {
            try {
                return type.getMethod(method, parameters).invoke(target, arguments);
            } catch (InvocationTargetException e) {
                throw e.getCause() instanceof Exception failure ? failure : e;
            }
        }

        @Override
        public AutoCloseable discover(List<Path> folders) throws Exception {
            return (AutoCloseable) call(
                    type("io.mor.runtime.plugin.PluginCatalog"),
                    null,
                    "discover",
                    new Class<?>[] {List.class},
                    folders);
        }

        @Override
        public List<String> extensions(AutoCloseable catalog) throws Exception {
            List<?> found = (List<?>) call(catalog.getClass(), catalog, "extensions", new Class<?>[0]);
            Stream.Builder<String> names = Stream.builder();
            for (Object extension : found) {
                names.add((String) call(extension.getClass(), extension, "describe", new Class<?>[0]));
            }
            return names.build().toList();
        }

        @Override
        public Object tokenizer(AutoCloseable catalog, String id, Map<String, Object> options) throws Exception {
            Class<?> factoryType = type("io.mor.runtime.plugin.ExtensionFactory");
            Class<?> kindType = type("io.mor.api.plugin.ExtensionKind");
            Object kind = kindType.getField("TOKENIZER").get(null);
            try (AutoCloseable factory = (AutoCloseable)
                    factoryType.getConstructor(catalog.getClass()).newInstance(catalog)) {
                return call(
                        factoryType,
                        factory,
                        "create",
                        new Class<?>[] {kindType, String.class, Map.class, Map.class},
                        kind,
                        id,
                        options,
                        Map.of());
            }
        }

        @Override
        public String fingerprint(Object tokenizer) throws Exception {
            return (String) call(type("io.mor.api.data.Tokenizer"), tokenizer, "fingerprint", new Class<?>[0]);
        }

        @Override
        public String toString() {
            return "module path";
        }
    }
}
