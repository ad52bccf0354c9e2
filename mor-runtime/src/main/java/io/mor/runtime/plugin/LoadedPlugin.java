package io.mor.runtime.plugin;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.MorPlugin;
import io.mor.runtime.MorException;
import java.net.URISyntaxException;
import java.nio.file.FileSystemNotFoundException;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.function.Predicate;

/** A plugin that was loaded: what it brings and where it is from. */
record LoadedPlugin(PluginSource source, MorPlugin plugin, List<Extension> extensions) {

    static LoadedPlugin of(MorPlugin plugin) {
        PluginSource source = source(plugin.getClass());
        try {
            return new LoadedPlugin(source, plugin, List.copyOf(plugin.extensions()));
        } catch (RuntimeException | LinkageError e) {
            throw broken(source.toString(), e);
        }
    }

    /**
     * The plugins a service loader finds.
     *
     * @param place where it looks, for messages
     * @param wanted which provider classes count
     */
    static List<LoadedPlugin> all(ServiceLoader<MorPlugin> loader, String place, Predicate<Class<?>> wanted) {
        List<LoadedPlugin> plugins = new ArrayList<>();
        Iterator<ServiceLoader.Provider<MorPlugin>> providers = loader.stream().iterator();
        try {
            while (providers.hasNext()) {
                ServiceLoader.Provider<MorPlugin> provider = providers.next();
                if (wanted.test(provider.type())) {
                    plugins.add(of(provider.get()));
                }
            }
        } catch (ServiceConfigurationError | LinkageError e) {
            throw broken(place, e);
        }
        return plugins;
    }

    private static MorException broken(String place, Throwable failure) {
        Throwable cause = failure instanceof ServiceConfigurationError && failure.getCause() != null
                ? failure.getCause()
                : failure;
        return new MorException("plugin in " + place + " cannot be loaded: " + reason(cause), cause);
    }

    /** Why loading failed, in words. */
    static String reason(Throwable failure) {
        if (failure instanceof NoClassDefFoundError || failure instanceof ClassNotFoundException) {
            String type = String.valueOf(failure.getMessage()).replace('/', '.');
            return type.startsWith("io.mor.api.")
                    ? "it uses " + type
                            + ", which this version of mor-api does not have; use a plugin built for this version"
                    : "it uses " + type
                            + ", which is not there; put the library beside the plugin's jar, in a folder of their own";
        }
        if (failure instanceof IncompatibleClassChangeError || failure instanceof UnsupportedClassVersionError) {
            return "it was built for another version: " + failure.getMessage();
        }
        String message = failure.getMessage() == null ? "" : ": " + failure.getMessage();
        return failure.getClass().getSimpleName() + message;
    }

    private static PluginSource source(Class<?> type) {
        Module module = type.getModule();
        String location = location(type);
        if (module.isNamed()) {
            return new PluginSource(
                    module.getName(), module.getDescriptor().rawVersion().orElse("unknown"), location);
        }
        String version = type.getPackage() == null ? null : type.getPackage().getImplementationVersion();
        return new PluginSource(
                type.getPackageName(), Optional.ofNullable(version).orElse("unknown"), location);
    }

    private static String location(Class<?> type) {
        CodeSource code = type.getProtectionDomain().getCodeSource();
        if (code == null || code.getLocation() == null) {
            return "no file";
        }
        try {
            return Path.of(code.getLocation().toURI()).toString();
        } catch (URISyntaxException | IllegalArgumentException | FileSystemNotFoundException e) {
            return code.getLocation().toString();
        }
    }
}
