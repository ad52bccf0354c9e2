package io.mor.runtime.plugin;

import io.mor.api.plugin.MorPlugin;
import java.nio.file.Path;
import java.util.List;
import java.util.ServiceLoader;

/** Loads one plugin with its libraries, apart from all others. */
sealed interface PluginLoader extends AutoCloseable permits LayerPluginLoader, ClassPathPluginLoader {

    /** A module layer if the runtime is a named module, else a class loader. */
    static PluginLoader of(List<Path> jars) {
        Module runtime = PluginLoader.class.getModule();
        return runtime.isNamed() ? LayerPluginLoader.of(runtime, jars) : new ClassPathPluginLoader(jars);
    }

    /** What it provides, possibly besides what its parents provide. */
    ServiceLoader<MorPlugin> services();

    /** Whether a class is from here and not from a parent. */
    boolean owns(Class<?> type);

    @Override
    void close();
}
