package io.mor.runtime.evaluate;

import java.util.List;

/**
 * How a model read a token.
 *
 * @param id the token
 * @param depth recursions it ran; 1 for a model without recursions
 * @param scores the router's score at recursion 1, 2, ... as far as the token was a candidate; of a router that does not score recursion by
 *     recursion the gate with which the update was weighed; empty for a model without a router
 */
public record TracedToken(int id, int depth, List<Double> scores) {

    /** Copies the list. */
    public TracedToken {
        scores = List.copyOf(scores);
    }
}
