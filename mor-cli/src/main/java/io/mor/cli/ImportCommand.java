package io.mor.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code mor import}. */
@Command(
        name = "import",
        description = "Make a run folder of a model from elsewhere.",
        subcommands = ImportLlama2cCommand.class)
final class ImportCommand implements Runnable {

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        throw new ParameterException(
                spec.commandLine(),
                "import what? " + String.join(", ", spec.subcommands().keySet()));
    }
}
