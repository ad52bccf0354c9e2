package io.mor.runtime.tape;

import java.util.Locale;

/**
 * What the tape calculates again on the way back instead of keeping it, each the same bits.
 *
 * @param kind what
 * @param layers in how many layers, of those that run first in a call, each recursion counted; the others keep all, which takes memory and saves work
 */
public record Recomputation(Kind kind, int layers) {

    /** What is calculated again. In configs in kebab case. */
    public enum Kind {
        /** Nothing: the most memory, the least work. */
        NONE,
        /** What norms and gated units hand on to products: cheap beside the products, and about a third of what a layer keeps. */
        NORMS_AND_GATES,
        /** Layers as a whole: what each begins with is kept, and it runs once more on the way back. The least memory, a third more work. */
        LAYERS
    }

    /** Nothing. */
    public static final Recomputation NONE = new Recomputation(Kind.NONE);

    /** Checks the count. */
    public Recomputation {
        if (layers < 0) {
            throw new IllegalArgumentException("recomputation in " + layers + " layers");
        }
    }

    /** In all layers. */
    public Recomputation(Kind kind) {
        this(kind, Integer.MAX_VALUE);
    }

    @Override
    public String toString() {
        String what = kind.name().toLowerCase(Locale.ROOT).replace('_', '-');
        return layers == Integer.MAX_VALUE ? what : what + " in the first " + layers + " layers";
    }

    /** Whether that is done in a layer, numbered from 0 as they run. */
    boolean covers(int layer) {
        return layer < layers;
    }
}
