package io.mor.cli;

import java.util.List;

/** The process: arguments in, exit code out. */
public final class Main {

    private Main() {}

    /**
     * Runs a command and ends the process: 0 for success, 1 for failure, 2 for wrong usage, 130 after Ctrl-C.
     *
     * @param arguments as the shell gave them
     */
    public static void main(String[] arguments) {
        Console console = Console.ofProcess(arguments);
        int code;
        try (console) {
            code = run(console, arguments);
        }
        System.exit(code);
    }

    private static int run(Console console, String[] arguments) {
        if (List.of(arguments).equals(List.of("--version"))) { // the parser of arguments need not be loaded for it
            console.out().println(Version.text());
            return ExitCode.SUCCESS;
        }
        return CommandRunner.run(console, arguments);
    }
}
