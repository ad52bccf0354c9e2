package io.mor.runtime.plugin;

import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** A folder of plugins: each jar in it, and each folder of jars, is one. */
final class PluginFolder implements AutoCloseable {

    private final List<LoadedPlugin> plugins;
    private final List<AutoCloseable> loaders;

    private PluginFolder(List<LoadedPlugin> plugins, List<AutoCloseable> loaders) {
        this.plugins = plugins;
        this.loaders = loaders;
    }

    static PluginFolder open(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new UsageException("plugin folder " + folder + " is not a folder");
        }
        List<LoadedPlugin> plugins = new ArrayList<>();
        List<AutoCloseable> loaders = new ArrayList<>();
        PluginFolder opened = new PluginFolder(plugins, loaders);
        try {
            for (Path entry : list(folder)) {
                List<Path> jars = isJar(entry)
                        ? List.of(entry)
                        : Files.isDirectory(entry)
                                ? list(entry).stream()
                                        .filter(PluginFolder::isJar)
                                        .toList()
                                : List.of();
                if (jars.isEmpty()) {
                    continue;
                }
                PluginLoader loader = PluginLoader.of(jars);
                loaders.add(loader);
                List<LoadedPlugin> found = LoadedPlugin.all(loader.services(), entry.toString(), loader::owns);
                if (found.isEmpty()) {
                    throw new UsageException(
                            entry
                                    + " is no plugin: nothing in it provides io.mor.api.plugin.MorPlugin; a library belongs into a folder together with its plugin's jar");
                }
                plugins.addAll(found);
            }
        } catch (RuntimeException | Error e) {
            opened.close();
            throw e;
        }
        return opened;
    }

    private static boolean isJar(Path path) {
        return path.getFileName().toString().endsWith(".jar") && Files.isRegularFile(path);
    }

    private static List<Path> list(Path folder) {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.sorted().toList();
        } catch (IOException e) {
            throw new MorException("plugin folder " + folder + " cannot be read: " + e.getMessage(), e);
        }
    }

    List<LoadedPlugin> plugins() {
        return List.copyOf(plugins);
    }

    @Override
    public void close() {
        for (AutoCloseable loader : loaders) {
            try {
                loader.close();
            } catch (Exception e) {
                throw new MorException("a plugin's jar cannot be closed: " + e.getMessage(), e);
            }
        }
        loaders.clear();
        plugins.clear();
    }
}
