package io.mor.runtime.generate;

/** Why a sequence's generation ended. */
public enum Ending {
    /** A stop id came; it is the last of the new ids and no part of the text. */
    STOP_TOKEN,
    /** The text came to hold a stop string; it is cut before it. */
    STOP_STRING,
    /** As many tokens as were asked for. */
    MAX_TOKENS,
    /** No token more fits the model's context. */
    CONTEXT_FULL,
    /** The listener asked for it. */
    CANCELLED
}
