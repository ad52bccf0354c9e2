package io.mor.runtime.config;

/** How layers share parameters over depth (spec 1.1). In configs in kebab case. */
public enum Sharing {
    /** Every layer has its own parameters. */
    NONE,
    /** The whole stack of layers is repeated. */
    CYCLE,
    /** Every layer is repeated in place. */
    SEQUENCE,
    /** Own first and last layer, the middle as {@link #CYCLE}. */
    MIDDLE_CYCLE,
    /** Own first and last layer, the middle as {@link #SEQUENCE}. */
    MIDDLE_SEQUENCE;

    /** Whether the first and last layers are unshared. */
    public boolean isMiddle() {
        return this == MIDDLE_CYCLE || this == MIDDLE_SEQUENCE;
    }

    /** Whether a block is repeated as a unit, which routing needs. */
    public boolean isCycle() {
        return this == CYCLE || this == MIDDLE_CYCLE;
    }
}
