package io.mor.api.tensor;

import io.mor.api.plugin.Stability;
import java.util.Objects;
import java.util.Optional;

/**
 * Which entries each query row sees: entries {@code start[row] .. end[row]}, end exclusive, in ascending original position. An entry is a
 * row of the keys and values, or, with a table, the row that the table holds at that entry.
 *
 * @param start first entry, {@code [query rows]}
 * @param end entry after the last, {@code [query rows]}
 * @param entryRows the row of the keys and values for every entry (the pages of generation); empty if entry and row are the same
 * @param longest an upper bound of {@code end - start}
 * @since 0.1
 */
@Stability(status = Stability.Status.EXPERIMENTAL, since = "0.1")
public record AttentionRanges(IntTensor start, IntTensor end, Optional<IntTensor> entryRows, int longest) {

    /** Checks for null. */
    public AttentionRanges {
        Objects.requireNonNull(start, "start is null");
        Objects.requireNonNull(end, "end is null");
        Objects.requireNonNull(entryRows, "entryRows is null");
    }
}
