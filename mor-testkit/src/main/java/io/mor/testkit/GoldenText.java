package io.mor.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A text that is committed, so that what it describes changes only on purpose: a test compares it with what is, and fails with the lines that
 * differ and the command that writes it anew. With the system property {@code mor.update.golden} set to {@code true} it is written instead.
 *
 * @param file where it is committed
 * @param command what writes it anew, for the message
 */
public record GoldenText(Path file, String command) {

    /** The system property that has texts written instead of compared. */
    public static final String UPDATE = "mor.update.golden";

    private static final int SHOWN_LINES = 40;

    /** Whether texts are written instead of compared. */
    public static boolean isUpdate() {
        return Boolean.getBoolean(UPDATE);
    }

    /**
     * Compares the whole file.
     *
     * @throws AssertionError naming the file, the differing lines and the command
     */
    public void check(String actual) {
        if (isUpdate()) {
            write(actual);
        }
        compare(Files.exists(file) ? read() : "", actual);
    }

    /**
     * Compares what stands between the lines {@code <!-- begin NAME -->} and {@code <!-- end NAME -->} of a document.
     *
     * @throws AssertionError naming the file, the differing lines and the command
     */
    public void checkPart(String name, String actual) {
        String begin = "<!-- begin " + name + " -->\n";
        String end = "<!-- end " + name + " -->";
        String document = read();
        int from = document.indexOf(begin);
        int to = document.indexOf(end);
        if (from < 0 || to < from) {
            throw new AssertionError(file + " has no part between '" + begin.strip() + "' and '" + end + "'");
        }
        if (isUpdate()) {
            write(document.substring(0, from + begin.length()) + actual + document.substring(to));
            return;
        }
        compare(document.substring(from + begin.length(), to), actual);
    }

    private void compare(String committed, String actual) {
        if (committed.equals(actual)) {
            return;
        }
        List<String> before = committed.lines().toList();
        List<String> after = actual.lines().toList();
        StringBuilder message = new StringBuilder(file + (committed.isEmpty() ? " is missing" : " is no longer true"));
        message.append(" (- committed, + now):\n");
        before.stream()
                .filter(line -> !after.contains(line))
                .limit(SHOWN_LINES)
                .forEach(line -> message.append("- " + line + "\n"));
        after.stream()
                .filter(line -> !before.contains(line))
                .limit(SHOWN_LINES)
                .forEach(line -> message.append("+ " + line + "\n"));
        message.append("If the change is meant, write the file anew, look at the difference and commit it:\n  ")
                .append(command);
        throw new AssertionError(message.toString());
    }

    private String read() {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file, e);
        }
    }

    private void write(String text) {
        try {
            Files.createDirectories(file.toAbsolutePath().getParent());
            Files.writeString(file, text);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write " + file, e);
        }
    }
}
