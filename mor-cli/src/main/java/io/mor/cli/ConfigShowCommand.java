package io.mor.cli;

import io.mor.runtime.config.ConfigBuilder;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code mor config show}. */
@Command(name = "show", description = "Print a config with every default filled in.")
final class ConfigShowCommand implements Callable<Integer> {

    private final Console console;

    @Parameters(arity = "0..1", paramLabel = "CONFIG", description = "YAML file. Default: an empty config.")
    private Optional<Path> file;

    @Mixin
    private ConfigOptions options;

    ConfigShowCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        ConfigBuilder builder = options.builder(file);
        try (Mor mor = ConfigOptions.open(builder)) {
            ExperimentConfig config = builder.build(mor.catalog());
            console.out().print(config.toYaml());
            config.warnings().forEach(console::say);
        }
        return ExitCode.SUCCESS;
    }
}
