package io.mor.api.backend;

import io.mor.api.cache.KvVisit;
import io.mor.api.plugin.Stability;
import io.mor.api.tensor.IntTensor;
import java.util.List;
import java.util.Objects;

/**
 * Where generation keeps the keys and values of the rows that passed each recursion, for one stage of the model. The rows of the pool are
 * handed out in pages; kernels only see row numbers.
 *
 * <p>For a sequence slot {@code s} and a recursion {@code r} (1-based) a <em>list</em> {@code l = s * recursions + r - 1} has entries
 * {@code l * capacity .. l * capacity + length[l]}. Entry e holds in {@code rows[e]} a row of the pool and in {@code positions[e]} the
 * token's original position, ascending.
 *
 * <p><b>Appending</b> a row of (s, r, position p); the rows of one (s, r) come in ascending position:
 *
 * <ul>
 *   <li>if {@code visits[r-1]} does not write, nothing happens and its pool row is -1;
 *   <li>else it takes pool row {@code reserved[l * capacity + written[l]]} and {@code written[l]} grows by one; it is appended to the list of
 *       every recursion q with {@code visits[q-1].source == r} (r itself among them if it reads its own);
 *   <li>and if {@code visits[r-1]} overlays, it replaces {@code rows} at the entry of list l whose position is p.
 * </ul>
 *
 * <p><b>Ranges</b>: a row of (s, r, p) sees list l if {@code visits[r-1]} overlays, else list {@code s * recursions + source - 1}, from its first
 * entry (with a window w: the first whose position is greater than p - w) to the last whose position is at most p.
 *
 * @param visits what each recursion does, {@code [recursions]}
 * @param capacity entries per list
 * @param rows {@code [lists * capacity]}
 * @param positions {@code [lists * capacity]}
 * @param length entries per list, {@code [lists]}
 * @param reserved pool rows set aside by the host, {@code [lists * capacity]}
 * @param written rows used of the reserved, {@code [lists]}
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record EntryTables(
        List<KvVisit> visits,
        int capacity,
        IntTensor rows,
        IntTensor positions,
        IntTensor length,
        IntTensor reserved,
        IntTensor written) {

    /** Copies the list and checks for null. */
    public EntryTables {
        visits = List.copyOf(visits);
        Objects.requireNonNull(rows, "rows is null");
        Objects.requireNonNull(positions, "positions is null");
        Objects.requireNonNull(length, "length is null");
        Objects.requireNonNull(reserved, "reserved is null");
        Objects.requireNonNull(written, "written is null");
    }

    /** Recursions of the stage. */
    public int recursions() {
        return visits.size();
    }
}
