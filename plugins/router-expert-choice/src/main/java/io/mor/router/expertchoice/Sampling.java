package io.mor.router.expertchoice;

/** What learns to predict the selection, so that it can be made causally (spec 2.6). In configs in kebab case. */
public enum Sampling {
    /** The router itself: a binary cross-entropy pulls the logits of selected rows above 0 and those of the others below. */
    AUX_LOSS,
    /** A second router of the same architecture that leaves the model alone: its input is detached. */
    AUX_ROUTER,
    /** Nothing. */
    NONE
}
