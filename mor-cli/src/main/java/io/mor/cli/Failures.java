package io.mor.cli;

import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;

/** Failures in words: one message that says what, where and what to do. */
final class Failures {

    private Failures() {}

    /** The exit code that a failure ends the process with. */
    static int exitCode(Throwable failure) {
        return failure instanceof UsageException ? ExitCode.USAGE : ExitCode.FAILURE;
    }

    /** Prints a failure; its stack trace only if asked for. */
    static void print(PrintStream err, Throwable failure, boolean debug) {
        err.println("mor: " + message(failure));
        if (debug) {
            failure.printStackTrace(err);
        }
    }

    static String message(Throwable failure) {
        return switch (failure) {
            case MorException told -> told.getMessage();
            case UncheckedIOException wrapped -> message(wrapped.getCause());
            case NoSuchFileException file -> "there is no file " + file.getFile();
            case AccessDeniedException file -> "no permission for " + file.getFile();
            case FileAlreadyExistsException file -> file.getFile() + " is there already";
            case FileSystemException file ->
                file.getFile() + ": " + (file.getReason() == null ? "cannot be used" : file.getReason());
            case IOException io -> "reading or writing failed: " + io.getMessage();
            case OutOfMemoryError memory ->
                "out of memory (" + memory.getMessage()
                        + "); make the batch, the context or the model smaller, or set MOR_JAVA_OPTIONS=-Xmx8g";
            case RuntimeException known
            when known.getClass().getName().startsWith("io.mor.") && known.getMessage() != null -> known.getMessage();
            default -> "this should not happen: " + failure + "; --debug prints where it did";
        };
    }
}
