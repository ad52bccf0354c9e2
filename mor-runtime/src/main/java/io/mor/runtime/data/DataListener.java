package io.mor.runtime.data;

/** Hears what happens while data is prepared. Called on the preparing thread; implementations return quickly. */
public interface DataListener {

    /** Hears nothing. */
    static DataListener silent() {
        return new DataListener() {};
    }

    /** Something that the user should know and that does not stop the work: one sentence that names the file and the remedy. */
    default void warning(String message) {}

    /** Text is being tokenised; called after each document, in long documents every few million characters, and once at the end. */
    default void tokenizing(Progress progress) {}

    /**
     * How far tokenisation is.
     *
     * @param documents begun so far
     * @param characters UTF-16 units tokenised so far
     * @param tokens written so far
     * @param finished whether this is the last call
     */
    record Progress(long documents, long characters, long tokens, boolean finished) {}
}
