package io.mor.runtime;

/** A failure, with a message that says what, where and what to do; the command line prints it and ends with exit code 1. */
public class MorException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    /** A failure without a cause worth showing. */
    public MorException(String message) {
        super(message);
    }

    /** A failure with its cause. */
    public MorException(String message, Throwable cause) {
        super(message, cause);
    }
}
