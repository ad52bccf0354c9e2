package io.mor.cli;

import java.util.function.LongSupplier;

/**
 * Where a long work stands: on a terminal one line that is written over, elsewhere a line of its own every few seconds. Not thread-safe.
 */
final class ProgressLine implements AutoCloseable {

    private static final long TERMINAL_INTERVAL = 100_000_000L;
    private static final long PLAIN_INTERVAL = 5_000_000_000L;
    private static final String CLEAR = "\r\u001b[K";

    private final Console console;
    private final LongSupplier nanoTime;
    private final long interval;
    private long last;
    private boolean first = true;
    private boolean open;

    ProgressLine(Console console) {
        this(console, System::nanoTime);
    }

    /**
     * A line with a clock of its own.
     *
     * @param nanoTime as {@link System#nanoTime}
     */
    ProgressLine(Console console, LongSupplier nanoTime) {
        this.console = console;
        this.nanoTime = nanoTime;
        this.interval = console.progressOnTerminal() ? TERMINAL_INTERVAL : PLAIN_INTERVAL;
    }

    /** Shows where the work stands, unless the last time was just now. */
    void show(String text) {
        long now = nanoTime.getAsLong();
        if (!first && now - last < interval) {
            return;
        }
        write(text);
        first = false;
        last = now;
    }

    /** Shows where the work stands at its end. */
    void finish(String text) {
        write(text);
        close();
    }

    private void write(String text) {
        if (console.progressOnTerminal()) {
            int room = Math.max(20, console.columns() - 1);
            console.err().print(CLEAR + (text.length() > room ? text.substring(0, room) : text));
            console.err().flush();
            open = true;
        } else {
            console.err().println(text);
        }
    }

    /** Prints a line that stays, between two updates. */
    void print(String text) {
        if (open) {
            console.err().print(CLEAR);
        }
        open = false;
        console.err().println(text);
    }

    /** Ends the line; what is printed next begins a new one. */
    @Override
    public void close() {
        if (open) {
            console.err().println();
            open = false;
        }
    }

    /** {@code [####......]}. */
    static String bar(double part, int width) {
        int full = Math.clamp(Math.round(part * width), 0, width);
        return "[" + "#".repeat(full) + ".".repeat(width - full) + "]";
    }

    /** {@code 0:07}, {@code 12:30}, {@code 3:05:00}. */
    static String duration(double seconds) {
        if (!Double.isFinite(seconds) || seconds < 0) {
            return "?";
        }
        long whole = Math.round(seconds);
        return whole >= 3600
                ? String.format("%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60)
                : String.format("%d:%02d", whole / 60, whole % 60);
    }
}
