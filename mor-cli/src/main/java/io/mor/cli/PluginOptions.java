package io.mor.cli;

import io.mor.runtime.plugin.PluginCatalog;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** {@code --plugins}. */
final class PluginOptions {

    @Option(
            names = "--plugins",
            paramLabel = "DIR",
            description =
                    "Folder of plugins: each jar in it, and each folder of a jar and its libraries, is one. May be repeated.")
    private List<Path> folders = new ArrayList<>();

    /** The folders given. */
    List<Path> folders() {
        return List.copyOf(folders);
    }

    /** All extensions there are. */
    PluginCatalog discover() {
        return PluginCatalog.discover(folders);
    }
}
