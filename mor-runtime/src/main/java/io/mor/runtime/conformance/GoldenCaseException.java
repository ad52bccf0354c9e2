package io.mor.runtime.conformance;

/** A golden case that cannot be read or says what this system does not know. The message names the file and the key. */
public final class GoldenCaseException extends RuntimeException {

    private static final long serialVersionUID = 1;

    GoldenCaseException(String message) {
        super(message);
    }

    GoldenCaseException(String message, Throwable cause) {
        super(message, cause);
    }
}
