package io.mor.runtime.plugin;

import io.mor.api.plugin.MorPlugin;
import io.mor.runtime.MorException;
import java.lang.module.Configuration;
import java.lang.module.FindException;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReference;
import java.lang.module.ResolutionException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.stream.Collectors;

/** A plugin as a module layer. Its own libraries come before the host's; mor-api and jakarta.inject are always the host's. */
final class LayerPluginLoader implements PluginLoader {

    private static final Set<String> SHARED = Set.of("io.mor.api", "jakarta.inject");

    private final ModuleLayer layer;

    private LayerPluginLoader(ModuleLayer layer) {
        this.layer = layer;
    }

    static LayerPluginLoader of(Module runtime, List<Path> jars) {
        ModuleLayer parent = runtime.getLayer();
        try {
            ModuleFinder own = without(SHARED, ModuleFinder.of(jars.toArray(Path[]::new)));
            Set<String> roots = own.findAll().stream()
                    .map(module -> module.descriptor().name())
                    .collect(Collectors.toSet());
            Configuration configuration = resolve(parent.configuration(), own, roots);
            ModuleLayer.Controller controller = ModuleLayer.defineModulesWithOneLoader(
                    configuration, List.of(parent), ClassLoader.getPlatformClassLoader());
            if (runtime.isNativeAccessEnabled()) {
                controller.layer().modules().forEach(controller::enableNativeAccess);
            }
            return new LayerPluginLoader(controller.layer());
        } catch (FindException | ResolutionException | LayerInstantiationException e) {
            throw new MorException("plugin " + names(jars) + " cannot be loaded: " + reason(e), e);
        }
    }

    private static String names(List<Path> jars) {
        return jars.stream().map(Path::toString).collect(Collectors.joining(", "));
    }

    /** What is wrong with a jar's descriptor or services is in the cause. */
    private static String reason(RuntimeException e) {
        String cause = e.getCause() == null ? null : e.getCause().getMessage();
        return cause == null || e.getMessage().contains(cause) ? e.getMessage() : e.getMessage() + ": " + cause;
    }

    private static Configuration resolve(Configuration parent, ModuleFinder own, Set<String> roots) {
        try {
            return parent.resolve(own, ModuleFinder.of(), roots);
        } catch (ResolutionException clash) {
            // An automatic module reads every module of the host, so a library that both have must be the host's.
            Set<String> hosts = own.findAll().stream()
                    .map(module -> module.descriptor().name())
                    .filter(name -> parent.findModule(name).isPresent())
                    .collect(Collectors.toSet());
            if (hosts.isEmpty()) {
                throw clash;
            }
            return parent.resolve(
                    without(hosts, own),
                    ModuleFinder.of(),
                    roots.stream().filter(root -> !hosts.contains(root)).toList());
        }
    }

    private static ModuleFinder without(Set<String> names, ModuleFinder finder) {
        return new ModuleFinder() {
            @Override
            public Optional<ModuleReference> find(String name) {
                return names.contains(name) ? Optional.empty() : finder.find(name);
            }

            @Override
            public Set<ModuleReference> findAll() {
                return finder.findAll().stream()
                        .filter(module -> !names.contains(module.descriptor().name()))
                        .collect(Collectors.toSet());
            }
        };
    }

    @Override
    public ServiceLoader<MorPlugin> services() {
        return ServiceLoader.load(layer, MorPlugin.class);
    }

    @Override
    public boolean owns(Class<?> type) {
        return type.getModule().getLayer() == layer;
    }

    /** A layer is collected when nothing uses it any more; there is nothing to close. */
    @Override
    public void close() {}
}
