package io.mor.router.expertchoice;

/** How the block's output is added to a selected row (spec 2.3). In configs in kebab case. */
public enum Gating {
    /** Times the gate. */
    WEIGHTED,
    /** As it is. */
    ADDITIVE
}
