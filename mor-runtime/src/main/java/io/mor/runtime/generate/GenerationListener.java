package io.mor.runtime.generate;

/** Follows a generation as it goes. Called on the generating thread, between steps; what it throws ends the generation of the whole batch. */
public interface GenerationListener {

    /** Hears nothing and never cancels. */
    GenerationListener NONE = token -> {};

    /**
     * A new token. The texts of a sequence's tokens put together are its result's text, unless it is cancelled: then what was still held back is
     * in the result alone.
     */
    void token(GeneratedToken token);

    /** The result of a sequence that has ended; the others may go on. */
    default void finished(int sequence, GenerationResult result) {}

    /**
     * A sequence ended without a result, because the model's numbers for it are broken. By default the whole batch ends with this failure; a
     * listener that returns lets the others go on, and there is no result for this one.
     */
    default void failed(int sequence, GenerationException failure) {
        throw failure;
    }

    /** Asked before every step: whether a sequence is to end where it is, as {@link Ending#CANCELLED}. */
    default boolean isCancelled(int sequence) {
        return false;
    }
}
