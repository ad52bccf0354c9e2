package io.mor.runtime.plugin;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.MorPlugin;

/**
 * An extension and the plugin that brings it.
 *
 * @param extension what it is
 * @param source where it is from
 * @param plugin what brings it
 */
public record FoundExtension(Extension extension, PluginSource source, MorPlugin plugin) {

    /** "router 'expert-choice' of io.mor.router.expertchoice (/plugins/x.jar)". */
    public String describe() {
        return extension.kind().id() + " '" + extension.id() + "' of " + source;
    }
}
