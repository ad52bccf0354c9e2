package io.mor.router.expertchoice;

/** What the sampling loss's coefficient refers to (spec 2.6). In configs in kebab case. */
public enum CoefficientNormalization {
    /** The mean over the micro-batches of an optimizer step. */
    MEAN,
    /** Their sum, as in the published training code, where the loss is not divided by the accumulation count. */
    AS_RELEASED
}
