package io.mor.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code mor config}. */
@Command(
        name = "config",
        description = "Show, check or describe configs.",
        subcommands = {ConfigShowCommand.class, ConfigValidateCommand.class, ConfigSchemaCommand.class})
final class ConfigCommand implements Runnable {

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(
                spec.commandLine(),
                "config what? " + String.join(", ", spec.subcommands().keySet()));
    }
}
