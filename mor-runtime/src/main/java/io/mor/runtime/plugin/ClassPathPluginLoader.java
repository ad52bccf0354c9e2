package io.mor.runtime.plugin;

import io.mor.api.plugin.MorPlugin;
import io.mor.runtime.MorException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.List;
import java.util.ServiceLoader;

/** A plugin as a class loader that sees, of the host, mor-api and jakarta.inject only. */
final class ClassPathPluginLoader implements PluginLoader {

    private final URLClassLoader loader;

    ClassPathPluginLoader(List<Path> jars) {
        URL[] urls = jars.stream().map(ClassPathPluginLoader::url).toArray(URL[]::new);
        loader = new URLClassLoader(
                "mor plugin " + jars.getFirst().getFileName(),
                urls,
                new ApiClassLoader(MorPlugin.class.getClassLoader()));
    }

    private static URL url(Path jar) {
        try {
            return jar.toUri().toURL();
        } catch (MalformedURLException e) {
            throw new MorException("plugin " + jar + " has no URL: " + e.getMessage(), e);
        }
    }

    @Override
    public ServiceLoader<MorPlugin> services() {
        return ServiceLoader.load(MorPlugin.class, loader);
    }

    @Override
    public boolean owns(Class<?> type) {
        return type.getClassLoader() == loader;
    }

    @Override
    public void close() {
        try {
            loader.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Passes on the packages that a plugin and its host must have in common, and the JDK. */
    private static final class ApiClassLoader extends ClassLoader {

        static {
            registerAsParallelCapable();
        }

        private final ClassLoader host;

        ApiClassLoader(ClassLoader host) {
            super("mor api", ClassLoader.getPlatformClassLoader());
            this.host = host;
        }

        @Override
        protected Class<?> findClass(String name) throws ClassNotFoundException {
            if (name.startsWith("io.mor.api.") || name.startsWith("jakarta.inject.")) {
                return host.loadClass(name);
            }
            throw new ClassNotFoundException(name);
        }
    }
}
