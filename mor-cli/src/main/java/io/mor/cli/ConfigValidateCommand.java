package io.mor.cli;

import io.mor.runtime.UsageException;
import io.mor.runtime.config.ConfigBuilder;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code mor config validate}. */
@Command(
        name = "validate",
        description = "Check configs: every key, type, range, extension and shape. Says everything that is wrong.")
final class ConfigValidateCommand implements Callable<Integer> {

    private final Console console;

    @Parameters(arity = "1..*", paramLabel = "CONFIG", description = "YAML files.")
    private List<Path> files;

    @Mixin
    private ConfigOptions options;

    ConfigValidateCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        int wrong = 0;
        for (Path file : files) {
            try {
                ConfigBuilder builder = options.builder(Optional.of(file));
                try (Mor mor = ConfigOptions.open(builder)) {
                    ExperimentConfig config = builder.build(mor.catalog());
                    config.warnings().forEach(warning -> console.say(file + ": " + warning));
                }
                console.out().println(file + " is valid");
            } catch (UsageException e) {
                String message = e.getMessage();
                console.say(message.contains(file.toString()) ? message : file + ": " + message);
                wrong++;
            }
        }
        return wrong == 0 ? ExitCode.SUCCESS : ExitCode.USAGE;
    }
}
