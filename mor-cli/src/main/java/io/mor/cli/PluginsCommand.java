package io.mor.cli;

import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.config.ConfigKey;
import io.mor.runtime.plugin.FoundExtension;
import io.mor.runtime.plugin.PluginCatalog;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code mor plugins}. */
@Command(
        name = "plugins",
        description = "List the extensions there are: kind, id, where from, and their config keys.",
        subcommands = PluginsShowCommand.class)
final class PluginsCommand implements Callable<Integer> {

    private final Console console;

    @Mixin
    private PluginOptions plugins;

    PluginsCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        try (PluginCatalog catalog = plugins.discover()) {
            for (ExtensionKind kind : ExtensionKind.values()) {
                List<FoundExtension> extensions = catalog.extensions(kind);
                if (!extensions.isEmpty()) {
                    console.out().println(kind.id());
                    extensions.forEach(this::print);
                    console.out().println();
                }
            }
            console.out().println("'mor plugins show ID' prints an example of a config.");
        }
        return ExitCode.SUCCESS;
    }

    private void print(FoundExtension found) {
        console.out()
                .println(
                        "  " + found.extension().id() + "  " + found.extension().help());
        console.out().println("    " + found.source());
        printKeys(console, found, "    ");
    }

    /** A line for each config key. */
    static void printKeys(Console console, FoundExtension found, String indent) {
        Table table = new Table();
        for (ConfigKey key : ConfigKey.of(found.extension().config())) {
            String standard = key.required()
                    ? "required"
                    : key.defaultValue()
                            .map(value -> "= " + (value.isEmpty() ? "\"\"" : value))
                            .orElse("optional");
            table.row(key.path(), standard, key.type(), key.help());
        }
        table.print(console.out(), indent);
    }
}
