package io.mor.cli;

import io.mor.runtime.config.ConfigSchema;
import io.mor.runtime.plugin.PluginCatalog;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code mor config schema}. */
@Command(
        name = "schema",
        description =
                "Print the JSON Schema of configs, with the extensions that are there, for completion and checks in editors.")
final class ConfigSchemaCommand implements Callable<Integer> {

    private final Console console;

    @Mixin
    private PluginOptions plugins;

    ConfigSchemaCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        try (PluginCatalog catalog = plugins.discover()) {
            console.out().println(ConfigSchema.json(catalog));
        }
        return ExitCode.SUCCESS;
    }
}
