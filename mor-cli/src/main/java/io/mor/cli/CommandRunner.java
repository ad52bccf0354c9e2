package io.mor.cli;

import java.io.PrintWriter;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.IFactory;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Parses arguments and runs the command they name. */
final class CommandRunner {

    private CommandRunner() {}

    static int run(Console console, String... arguments) {
        boolean debug = Arrays.asList(arguments).contains("--debug");
        CommandLine commands = commands(console);
        commands.setExecutionExceptionHandler((failure, command, parsed) -> {
            Failures.print(console.err(), failure, debug);
            return Failures.exitCode(failure);
        });
        try {
            return commands.execute(arguments);
        } catch (StackOverflowError | OutOfMemoryError | LinkageError error) { // picocli hands on exceptions only
            Failures.print(console.err(), error, debug);
            return ExitCode.FAILURE;
        }
    }

    /** The command line with all its commands; every command is made with the console. */
    static CommandLine commands(Console console) {
        return new CommandLine(MorCommand.class, new CommandFactory(console))
                .setOut(new PrintWriter(console.out(), true))
                .setErr(new PrintWriter(console.err(), true))
                .setColorScheme(CommandLine.Help.defaultColorScheme(console.colour() ? Ansi.ON : Ansi.OFF))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setUsageHelpAutoWidth(false)
                .setUsageHelpWidth(Math.clamp(console.columns(), 80, 120))
                .setParameterExceptionHandler((failure, given) -> misused(console, failure));
    }

    /** One message, the nearest names if a name was misspelt, and where help is. */
    private static int misused(Console console, ParameterException failure) {
        CommandSpec command = failure.getCommandLine().getCommandSpec();
        console.say(inPlainWords(failure.getMessage()));
        if (failure instanceof UnmatchedArgumentException unmatched) {
            List<String> suggestions = unmatched.getSuggestions();
            if (!suggestions.isEmpty()) {
                console.say("did you mean " + String.join(" or ", suggestions) + "?");
            }
        }
        console.say("'" + command.qualifiedName() + " --help' says how it is used");
        return ExitCode.USAGE;
    }

    /** picocli names Java's types. */
    private static String inPlainWords(String message) {
        String plain = message.strip();
        if (plain.startsWith("Error: ")) {
            plain = plain.substring("Error: ".length());
        }
        return plain.replaceFirst(" is not an? (int|long)$", " is not a whole number")
                .replaceFirst(" is not a double$", " is not a number");
    }

    /** Gives the console to the constructor of a command that wants it. */
    private record CommandFactory(Console console) implements IFactory {

        @Override
        public <K> K create(Class<K> type) throws Exception {
            for (Constructor<?> constructor : type.getDeclaredConstructors()) {
                if (Arrays.equals(constructor.getParameterTypes(), new Class<?>[] {Console.class})) {
                    try {
                        return type.cast(constructor.newInstance(console));
                    } catch (InvocationTargetException e) {
                        throw new IllegalStateException(e.getCause());
                    }
                }
            }
            return CommandLine.defaultFactory().create(type);
        }
    }
}
