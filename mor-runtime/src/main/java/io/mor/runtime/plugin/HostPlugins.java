package io.mor.runtime.plugin;

import io.mor.api.plugin.MorPlugin;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.ServiceLoader;
import java.util.Set;

/**
 * The plugins that stand where the runtime stands.
 *
 * @param place in words, for messages
 */
record HostPlugins(String place, List<LoadedPlugin> plugins) {

    static HostPlugins find() {
        Module runtime = HostPlugins.class.getModule();
        Set<Class<?>> seen = new HashSet<>();
        List<LoadedPlugin> plugins = new ArrayList<>();
        if (runtime.isNamed()) {
            plugins.addAll(LoadedPlugin.all(
                    ServiceLoader.load(runtime.getLayer(), MorPlugin.class), "the module path", seen::add));
        }
        // Also in a named-module host: it may have plugins on its class path.
        ServiceLoader<MorPlugin> loader = ServiceLoader.load(MorPlugin.class, HostPlugins.class.getClassLoader());
        plugins.addAll(LoadedPlugin.all(loader, "the class path", seen::add));
        return new HostPlugins(runtime.isNamed() ? "the module path" : "the class path", plugins);
    }
}
