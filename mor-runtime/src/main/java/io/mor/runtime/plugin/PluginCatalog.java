package io.mor.runtime.plugin;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.binding.Names;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * The extensions there are. Plugins are found by {@link java.util.ServiceLoader} where the runtime itself is (module path or class path) and
 * in plugin folders, in which each jar, and each folder with a jar and its libraries, is a plugin loaded apart from all others: in a module
 * layer of its own if the runtime is a named module, else by a class loader of its own that sees mor-api of the host alone.
 *
 * <p>Closing a catalog drops the layers and loaders of its folders; extensions made before keep working until they are collected, but
 * should be closed first. Thread safety: safe for concurrent reading.
 */
public final class PluginCatalog implements AutoCloseable {

    private static final Comparator<FoundExtension> ORDER = Comparator.<FoundExtension, ExtensionKind>comparing(
                    found -> found.extension().kind())
            .thenComparing(found -> found.extension().id());

    private final List<String> searched;
    private final List<FoundExtension> extensions;
    private final List<PluginFolder> folders;

    private PluginCatalog(List<String> searched, List<FoundExtension> extensions, List<PluginFolder> folders) {
        this.searched = searched;
        this.extensions = extensions;
        this.folders = folders;
    }

    /** What is on the module path or class path. */
    public static PluginCatalog discover() {
        return discover(List.of());
    }

    /**
     * What is on the module path or class path and in plugin folders.
     *
     * @throws UsageException if a folder is missing, a jar in it is no plugin, or two plugins have an extension of one kind and id
     * @throws MorException if a plugin cannot be loaded; the message names it
     */
    public static PluginCatalog discover(List<Path> pluginFolders) {
        List<PluginFolder> folders = new ArrayList<>();
        try {
            HostPlugins host = HostPlugins.find();
            List<FoundExtension> found = new ArrayList<>();
            host.plugins().forEach(plugin -> addAll(plugin, found));
            List<String> searched = new ArrayList<>(List.of(host.place()));
            for (Path path : pluginFolders) {
                PluginFolder folder = PluginFolder.open(path);
                folders.add(folder);
                folder.plugins().forEach(plugin -> addAll(plugin, found));
                searched.add("plugin folder " + path);
            }
            return of(found, searched, folders);
        } catch (RuntimeException | Error e) {
            folders.forEach(PluginFolder::close);
            throw e;
        }
    }

    /** The given plugins and no others; for hosts that make their plugins themselves. */
    public static PluginCatalog of(MorPlugin... plugins) {
        List<FoundExtension> found = new ArrayList<>();
        for (MorPlugin plugin : plugins) {
            addAll(LoadedPlugin.of(plugin), found);
        }
        return of(found, List.of("the plugins given by the host"), List.of());
    }

    private static PluginCatalog of(List<FoundExtension> found, List<String> searched, List<PluginFolder> folders) {
        checkUnique(found);
        return new PluginCatalog(
                List.copyOf(searched), found.stream().sorted(ORDER).toList(), List.copyOf(folders));
    }

    private static void addAll(LoadedPlugin plugin, List<FoundExtension> found) {
        for (Extension extension : plugin.extensions()) {
            found.add(new FoundExtension(extension, plugin.source(), plugin.plugin()));
        }
    }

    private static void checkUnique(List<FoundExtension> found) {
        Map<String, FoundExtension> byName = new TreeMap<>();
        for (FoundExtension extension : found) {
            FoundExtension first = byName.putIfAbsent(
                    extension.extension().kind().id() + " '"
                            + extension.extension().id() + "'",
                    extension);
            if (first != null) {
                throw new UsageException("two plugins bring a "
                        + extension.extension().kind().id()
                        + " '"
                        + extension.extension().id()
                        + "': "
                        + first.source()
                        + " and "
                        + extension.source()
                        + "; remove one of them or rename its extension");
            }
        }
    }

    /** All extensions, ordered by kind and id. */
    public List<FoundExtension> extensions() {
        return extensions;
    }

    /** The extensions of a kind, ordered by id. */
    public List<FoundExtension> extensions(ExtensionKind kind) {
        return extensions.stream()
                .filter(found -> found.extension().kind() == kind)
                .toList();
    }

    /** The extension of a kind and id, if there is one. */
    public Optional<FoundExtension> find(ExtensionKind kind, String id) {
        return extensions(kind).stream()
                .filter(found -> found.extension().id().equals(id))
                .findFirst();
    }

    /**
     * The extension of a kind and id.
     *
     * @throws UsageException listing what there is, where it was looked for and the nearest name
     */
    public FoundExtension get(ExtensionKind kind, String id) {
        return find(kind, id).orElseThrow(() -> new UsageException(unknown(kind, id, List.of())));
    }

    /**
     * The message for an id that is not there.
     *
     * @param reserved further names that a config may say
     */
    public String unknown(ExtensionKind kind, String id, List<String> reserved) {
        List<String> ids = new ArrayList<>(reserved);
        extensions(kind).forEach(found -> ids.add(found.extension().id()));
        String listing = ids.isEmpty()
                ? "there is none at all"
                : "there are " + ids.stream().sorted().collect(Collectors.joining(", "));
        return "no " + kind.id() + " '" + id + "'" + Names.didYouMean(id, ids) + "; " + listing + "; looked in "
                + String.join(", ", searched);
    }

    /** Where plugins were looked for, in words. */
    public List<String> searched() {
        return searched;
    }

    /** Drops the layers and loaders of the plugin folders. */
    @Override
    public void close() {
        folders.forEach(PluginFolder::close);
    }
}
