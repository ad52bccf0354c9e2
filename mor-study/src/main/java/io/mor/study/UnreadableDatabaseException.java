package io.mor.study;

import io.mor.runtime.MorException;

/** The database is damaged, or is none; it can be made again from the folders of the trials. */
final class UnreadableDatabaseException extends MorException {

    private static final long serialVersionUID = 1;

    UnreadableDatabaseException(String message, Throwable cause) {
        super(message, cause);
    }
}
