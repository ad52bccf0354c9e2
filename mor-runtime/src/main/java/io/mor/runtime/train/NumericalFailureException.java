package io.mor.runtime.train;

import io.mor.runtime.MorException;

/** Training has produced a number that is none. Nothing of the failed step was applied or saved. */
public final class NumericalFailureException extends MorException {

    private static final long serialVersionUID = 1;

    NumericalFailureException(String message) {
        super(message);
    }
}
