package io.mor.runtime;

/** Something that was asked for cannot be: a config, an argument, an id. The command line ends with exit code 2. */
public class UsageException extends MorException {

    private static final long serialVersionUID = 1L;

    /** A usage error without a cause worth showing. */
    public UsageException(String message) {
        super(message);
    }

    /** A usage error with its cause. */
    public UsageException(String message, Throwable cause) {
        super(message, cause);
    }
}
