package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

class CommandRunnerTest {

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    private Console console(boolean terminal) {
        return new Console(
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8),
                terminal,
                false,
                false,
                100,
                OptionalLong.empty());
    }

    @Test
    void everyCommandAndOptionHasAnExplanation() {
        List<Executable> checks = new ArrayList<>();
        explained(CommandRunner.commands(console(false)).getCommandSpec(), checks);
        assertTrue(checks.size() > 60, checks.size() + " commands, options and parameters");
        assertAll(checks);
    }

    private static void explained(CommandSpec command, List<Executable> checks) {
        checks.add(() -> assertTrue(command.usageMessage().description().length > 0, command.qualifiedName()));
        for (OptionSpec option : command.options()) {
            checks.add(() -> assertTrue(
                    option.description().length > 0, () -> command.qualifiedName() + " " + option.longestName()));
        }
        for (PositionalParamSpec parameter : command.positionalParameters()) {
            checks.add(() -> assertTrue(
                    parameter.description().length > 0, () -> command.qualifiedName() + " " + parameter.paramLabel()));
        }
        for (CommandLine each : command.subcommands().values()) {
            explained(each.getCommandSpec(), checks);
        }
    }

    @Test
    void commandsThatMissTheirArgumentsSayWhich() {
        assertAll(
                missing("RUN", "generate"),
                missing("RUN", "eval"),
                missing("STUDY", "report"),
                missing("--mean-depth", "calibrate", "run"),
                missing("--out", "import", "llama2c", "model.bin"),
                missing("DIR", "conformance"),
                missing("ID", "plugins", "show"),
                missing("CONFIG", "config", "validate"),
                missing("llama2c", "import"),
                missing("schema", "config"));
    }

    private Executable missing(String name, String... arguments) {
        return () -> {
            err.reset();
            assertEquals(ExitCode.USAGE, CommandRunner.run(console(false), arguments), String.join(" ", arguments));
            String said = err.toString(StandardCharsets.UTF_8);
            assertTrue(said.contains(name) && said.contains("--help"), said);
        };
    }

    @Test
    void failuresAreOneMessageAndTheirKindDecidesTheExitCode() {
        assertEquals(ExitCode.USAGE, Failures.exitCode(new UsageException("x")));
        assertEquals(ExitCode.FAILURE, Failures.exitCode(new MorException("x")));
        assertEquals(ExitCode.FAILURE, Failures.exitCode(new IllegalStateException("x")));
        assertEquals(
                "there is no file a.txt", Failures.message(new UncheckedIOException(new NoSuchFileException("a.txt"))));
        assertEquals("reading or writing failed: broken", Failures.message(new IOException("broken")));
        assertTrue(Failures.message(new IllegalStateException("odd")).contains("--debug"));
    }

    @Test
    void aStackTraceIsPrintedOnlyIfAskedFor() {
        PrintStream to = new PrintStream(err, true, StandardCharsets.UTF_8);
        Failures.print(to, new MorException("no luck", new IllegalStateException("deep")), false);
        assertEquals("mor: no luck" + System.lineSeparator(), err.toString(StandardCharsets.UTF_8));
        Failures.print(to, new MorException("no luck", new IllegalStateException("deep")), true);
        assertTrue(err.toString(StandardCharsets.UTF_8).contains("\tat "));
    }

    @Test
    void aModelCannotWriteControlCharactersToATerminal() {
        String text = "a\tb\n\u001b[2J\u0007\u009bé";
        assertEquals("a\tb\n\uFFFD[2J\uFFFD\uFFFDé", console(true).printable(text));
        assertEquals(text, console(false).printable(text));
    }

    @Test
    void depthsHaveColoursFromTheFirstToTheLast() {
        DepthColours three = new DepthColours(3);
        assertEquals("", three.paint("", 1));
        assertTrue(three.paint("x", 1).endsWith("mx\u001b[0m"));
        assertFalse(three.paint("x", 1).equals(three.paint("x", 2))
                || three.paint("x", 2).equals(three.paint("x", 3)));
        assertEquals(
                new DepthColours(2).paint("x", 2),
                three.paint("x", 3),
                "the last recursion has one colour, however many there are");
    }

    @Test
    void tablesHaveColumnsAsWideAsTheirWidestCell() {
        new Table()
                .row("a", "long cell", "x")
                .row("longer", "b")
                .row("ünï", "c", "y")
                .print(console(false).out(), "  ");
        String end = System.lineSeparator();
        assertEquals(
                "  a       long cell  x" + end + "  longer  b" + end + "  ünï     c          y" + end,
                out.toString(StandardCharsets.UTF_8));
    }
}
