package io.mor.router.tokenchoice;

/** How the last recursion's output is added to a row's entry value (spec 3.2). In configs in kebab case. */
public enum Gating {
    /** Times the probability of the chosen depth. */
    WEIGHTED,
    /** As it is. */
    ADDITIVE
}
