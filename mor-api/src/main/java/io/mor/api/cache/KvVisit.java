package io.mor.api.cache;

import io.mor.api.plugin.Stability;

/**
 * What one visit of a layer, at one recursion, does with keys and values.
 *
 * @param writes whether the visiting rows' keys and values are projected and stored
 * @param source the recursion whose stored rows are read: this one (with what this visit stores) or an earlier one that writes
 * @param overlays whether, while reading another recursion's rows, those at the positions of this visit's own rows are replaced by what this
 *     visit (and earlier ones at this recursion) stored; needs {@code writes}
 * @param window 0: all earlier positions are seen; w &gt; 0: only the last w, the query's own among them; older rows may be dropped
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record KvVisit(boolean writes, int source, boolean overlays, int window) {

    /** Checks the combination. */
    public KvVisit {
        if (source < 1) {
            throw new IllegalArgumentException("a visit reads from recursion 1 or later, not " + source);
        }
        if (overlays && !writes) {
            throw new IllegalArgumentException("a visit that overlays must write what it lays over");
        }
        if (window < 0) {
            throw new IllegalArgumentException("a window of " + window + " positions is negative");
        }
    }

    /** Stores and reads this recursion's own rows. */
    public static KvVisit own(int recursion) {
        return new KvVisit(true, recursion, false, 0);
    }

    /** Stores nothing and reads the rows of {@code source}. */
    public static KvVisit shared(int source) {
        return new KvVisit(false, source, false, 0);
    }

    /** Reads the rows of {@code source} with its own in their places. */
    public static KvVisit overlaid(int source) {
        return new KvVisit(true, source, true, 0);
    }
}
