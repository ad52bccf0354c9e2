package io.mor.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** {@code mor} itself: the list of commands and what all of them take. */
@Command(
        name = "mor",
        description = "Trains and runs Mixture-of-Recursions language models.",
        versionProvider = VersionProvider.class,
        subcommands = {
            QuickstartCommand.class,
            TrainCommand.class,
            EvalCommand.class,
            CalibrateCommand.class,
            AblateCommand.class,
            ResultsCommand.class,
            TrialCommand.class,
            GenerateCommand.class,
            ReportCommand.class,
            ImportCommand.class,
            ConformanceCommand.class,
            PluginsCommand.class,
            ConfigCommand.class,
            DoctorCommand.class
        },
        footer = {
            "",
            "Exit codes: 0 success, 1 failure, 2 wrong usage, 130 after Ctrl-C.",
            "'mor COMMAND --help' explains a command."
        })
final class MorCommand implements Runnable {

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            scope = ScopeType.INHERIT,
            description = "Explain this command.")
    private boolean help;

    @Option(names = "--version", versionHelp = true, description = "Print the version.")
    private boolean version;

    @Option(names = "--debug", scope = ScopeType.INHERIT, description = "Print the stack trace of a failure.")
    private boolean debug;

    @Option(
            names = "--color",
            negatable = true,
            scope = ScopeType.INHERIT,
            description =
                    "Colour also where stdout is no terminal, or never. Default: on a terminal, unless NO_COLOR is set.")
    private boolean color;

    @Spec
    private CommandSpec spec;

    /** Without a command: the help, as an error. */
    @Override
    public void run() {
        throw new picocli.CommandLine.ParameterException(
                spec.commandLine(),
                "which command? " + String.join(", ", spec.subcommands().keySet()));
    }
}
