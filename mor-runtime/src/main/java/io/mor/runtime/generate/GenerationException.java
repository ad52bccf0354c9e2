package io.mor.runtime.generate;

import io.mor.runtime.MorException;

/** Generation cannot go on: the model's numbers are broken. The message says where and what to do. */
public final class GenerationException extends MorException {

    private static final long serialVersionUID = 1;

    /** With a message. */
    public GenerationException(String message) {
        super(message);
    }
}
