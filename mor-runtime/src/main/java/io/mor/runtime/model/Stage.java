package io.mor.runtime.model;

import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvVisit;
import java.util.Collections;
import java.util.List;

/**
 * A part of the walk: a block that is applied once, or again and again.
 *
 * @param blocks the block of each recursion; the same one where parameters are shared
 * @param layers layers of the block
 * @param routed whether a router decides who goes through each recursion
 */
public record Stage(List<RecursionBlock> blocks, int layers, boolean routed) {

    /** Copies the list. */
    public Stage {
        blocks = List.copyOf(blocks);
    }

    /** A stage of one block applied {@code recursions} times. */
    public static Stage shared(RecursionBlock block, int layers, int recursions, boolean routed) {
        return new Stage(Collections.nCopies(recursions, block), layers, routed);
    }

    /** How often the stage is applied. */
    public int recursions() {
        return blocks.size();
    }

    /** The cache's plan of one visit; a stage that is applied once keeps its own keys and values. */
    public KvVisit plan(KvCache cache, int recursion, int layer) {
        if (recursions() == 1) {
            return KvVisit.own(1);
        }
        KvVisit plan = cache.visit(recursion, recursions(), layer);
        if (plan.source() > recursion || plan.source() == recursion && (!plan.writes() || plan.overlays())) {
            throw new IllegalStateException("kv-cache: the plan " + plan + " of recursion " + recursion + ", layer "
                    + layer + " cannot be carried out");
        }
        if (plan.source() < recursion) {
            KvVisit source = cache.visit(plan.source(), recursions(), layer);
            if (!source.writes() || source.source() != plan.source()) {
                throw new IllegalStateException("kv-cache: recursion " + recursion + ", layer " + layer
                        + " reads recursion " + plan.source() + ", which keeps nothing of its own: " + source);
            }
        }
        return plan;
    }
}
