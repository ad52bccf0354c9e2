package io.mor.runtime.config;

/** Which layers of a full model a shared block starts from (spec 1.4). In configs in kebab case. */
public enum Initialization {
    /** A sorted random sample of the layers; on a fresh model simply a fresh initialisation. */
    RANDOM,
    /** Layers at even distances, the first and the last among them. */
    STEPWISE,
    /** The first layers. */
    LOWER,
    /** The last layers. */
    UPPER,
    /** The mean over the layers that will be tied together. */
    AVERAGE
}
