package io.mor.runtime.data;

import java.io.IOException;

/** A corpus cannot be used; the message names the file, what is wrong and what to do. */
public final class CorpusException extends IOException {

    private static final long serialVersionUID = 1;

    CorpusException(String message) {
        super(message);
    }

    CorpusException(String message, Throwable cause) {
        super(message, cause);
    }
}
