package io.mor.study;

import io.mor.runtime.MorException;

/** The database is damaged, or is none; it can be made again from the folders of the trials. */
public final class UnreadableDatabaseException extends MorException {

    private static final long serialVersionUID = 1;

    /** With what the database says. */
    public UnreadableDatabaseException(String message, Throwable cause) {
        super(message, cause);
    }
}
