package io.mor.api.plugin;

import java.util.List;

/**
 * What a plugin module brings. Found by {@link java.util.ServiceLoader} on the module path, on the class path and in plugin folders:
 * an implementation is a public class with a public no-argument constructor, named by {@code provides} in its module descriptor (and in
 * {@code META-INF/services} for class-path hosts).
 *
 * <p>Thread safety: implementations are immutable.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface MorPlugin {

    /** The extensions of this plugin; ids are unique per kind over all plugins found. */
    List<Extension> extensions();

    /**
     * What of this machine the plugin depends on was found and what is missing, in lines for people: for {@code mor doctor}, which shows them
     * whether or not the extensions can be made. Opens nothing that stays open, and does not throw because something is missing. Empty for
     * plugins that need nothing.
     */
    default List<String> diagnosis() {
        return List.of();
    }
}
