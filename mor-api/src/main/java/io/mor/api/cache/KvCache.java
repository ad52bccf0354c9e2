package io.mor.api.cache;

import io.mor.api.plugin.Stability;

/**
 * A cache strategy: a policy, not a store. For each visit of a layer it says whether keys and values are projected, where they go and
 * what is read (spec 4). The runtime owns the storage of training steps (with gradients) and of generation (paged) and follows the same plan for
 * both; from the plan it also computes the bytes.
 *
 * <p>Thread safety: immutable.
 *
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public interface KvCache {

    /**
     * The plan of one visit. For a given layer, a source must itself write at its recursion and read its own rows.
     *
     * @param recursion from 1
     * @param recursions how many the stage has
     * @param layer layer inside the block, from 0
     */
    KvVisit visit(int recursion, int recursions, int layer);

    /**
     * Whether all candidate rows run this recursion, also those that the router does not select (spec 4.1: sharing needs every token's keys and
     * values at recursion 1). Rows that run without being selected keep their state.
     */
    default boolean everyCandidateRuns(int recursion) {
        return false;
    }
}
