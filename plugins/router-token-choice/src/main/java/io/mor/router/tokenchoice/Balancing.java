package io.mor.router.tokenchoice;

/** What keeps depths in equal use (spec 3.4). In configs in kebab case. */
public enum Balancing {
    /** A loss: the number of depths times the sum over depths of load and mean probability. */
    LOSS,
    /** A bias on the choice alone, moved by a constant after every optimizer step towards the depths that are used too little. */
    LOSS_FREE,
    /** Nothing. */
    NONE
}
