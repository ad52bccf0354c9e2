package io.mor.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;

/** Where a command prints: results to {@link #out}, messages and progress to {@link #err}; UTF-8 both. Thread safety: as print streams. */
final class Console implements AutoCloseable {

    private static final long DRAIN_SECONDS = 2;
    private static final Pattern CONTROL = Pattern.compile("[\\p{Cc}&&[^\n\t]]");

    private final PrintStream out;
    private final PrintStream err;
    private final boolean terminal;
    private final boolean colour;
    private final boolean progressOnTerminal;
    private final int columns;
    private final OptionalLong filter;
    private final CountDownLatch closed = new CountDownLatch(1);

    /**
     * A console.
     *
     * @param terminal whether out is a terminal
     * @param colour whether results are coloured
     * @param progressOnTerminal whether err is a terminal, on which a line can be written over
     * @param columns width of the terminal in characters
     * @param filter process id of the launcher's filter of err, which is waited for at the end
     */
    Console(
            PrintStream out,
            PrintStream err,
            boolean terminal,
            boolean colour,
            boolean progressOnTerminal,
            int columns,
            OptionalLong filter) {
        this.out = out;
        this.err = err;
        this.terminal = terminal;
        this.colour = colour;
        this.progressOnTerminal = progressOnTerminal;
        this.columns = columns;
        this.filter = filter;
    }

    /** The console of this process: what the launcher says of the terminal, NO_COLOR (no-color.org), and --color or --no-color over all. */
    static Console ofProcess(String[] arguments) {
        List<String> terminals = List.of(System.getProperty("mor.terminal", "").split(","));
        String noColor = System.getenv("NO_COLOR");
        boolean colour = terminals.contains("stdout")
                && (noColor == null || noColor.isEmpty())
                && !"dumb".equals(System.getenv("TERM"));
        for (String argument : Arrays.asList(arguments)) {
            if (argument.equals("--color")) {
                colour = true;
            } else if (argument.equals("--no-color")) {
                colour = false;
            }
        }
        return new Console(
                new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8),
                new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8),
                terminals.contains("stdout"),
                colour,
                terminals.contains("stderr"),
                Long.getLong("mor.columns", 80).intValue(),
                longProperty("mor.stderr.filter"));
    }

    private static OptionalLong longProperty(String name) {
        Long value = Long.getLong(name);
        return value == null ? OptionalLong.empty() : OptionalLong.of(value);
    }

    /** Results. */
    PrintStream out() {
        return out;
    }

    /** Messages and progress. */
    PrintStream err() {
        return err;
    }

    /** A text as it can be printed: on a terminal no control characters but tabs and line ends, for a model may write anything. */
    String printable(String text) {
        return terminal ? CONTROL.matcher(text).replaceAll("\uFFFD") : text;
    }

    /** Whether results are coloured. */
    boolean colour() {
        return colour;
    }

    /** Whether progress can be written over the line before. */
    boolean progressOnTerminal() {
        return progressOnTerminal;
    }

    /** Width of the terminal, in characters. */
    int columns() {
        return columns;
    }

    /** Says something that is not a result. */
    void say(String message) {
        err.println("mor: " + message);
    }

    /** Whether everything has been said. */
    boolean isClosed() {
        return closed.getCount() == 0;
    }

    /** Waits until everything has been said. */
    void awaitClosed() {
        try {
            closed.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Ends output, and waits until the launcher's filter has passed on the last of it. */
    @Override
    public void close() {
        try {
            drain();
        } finally {
            closed.countDown();
        }
    }

    private void drain() {
        out.flush();
        err.flush();
        if (filter.isEmpty()) {
            return;
        }
        err.close();
        System.err.close(); // also file descriptor 2: the filter ends when nobody can write to it
        ProcessHandle.of(filter.getAsLong()).ifPresent(process -> {
            try {
                process.onExit().get(DRAIN_SECONDS, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } catch (ExecutionException | TimeoutException e) {
                return; // the filter is stuck on a reader that does not read; the exit code is more important
            }
        });
    }
}
