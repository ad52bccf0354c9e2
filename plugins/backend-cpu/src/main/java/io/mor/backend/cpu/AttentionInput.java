package io.mor.backend.cpu;

import io.mor.api.tensor.AttentionShape;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What an attention reads: the operands of {@link io.mor.api.backend.Backend#attention}.
 *
 * @param start first entry of each query row
 * @param end entry after the last of each query row
 * @param entryRows the row of the keys and values for every entry, empty if entry and row are the same
 * @param rows query rows in use
 */
record AttentionInput(
        AttentionShape shape,
        CpuTensor queries,
        CpuTensor keys,
        CpuTensor values,
        CpuInts start,
        CpuInts end,
        Optional<CpuInts> entryRows,
        int rows) {

    /**
     * Neighbouring query rows {@code firstRow .. endRow} whose ranges overlap, and the entries {@code firstEntry .. endEntry} that they see
     * together. Groups share no entries.
     */
    record Group(int firstRow, int endRow, int firstEntry, int endEntry) {

        int rows() {
            return endRow - firstRow;
        }

        int entries() {
            return endEntry - firstEntry;
        }
    }

    float scale() {
        return (float) (1 / Math.sqrt(shape.headDim()));
    }

    int headsPerKey() {
        return shape.heads() / shape.kvHeads();
    }

    int keyRow(int entry) {
        return entryRows.isEmpty() ? entry : entryRows.get().get(entry);
    }

    /** All query rows in groups, in order; a row that sees nothing belongs to the group before it. */
    List<Group> groups() {
        List<Group> groups = new ArrayList<>();
        int firstRow = 0;
        int lowest = Integer.MAX_VALUE;
        int highest = Integer.MIN_VALUE;
        for (int row = 0; row < rows; row++) {
            int first = start.get(row);
            int last = end.get(row);
            if (last <= first) {
                continue;
            }
            if (lowest < highest && (first >= highest || last <= lowest)) {
                groups.add(new Group(firstRow, row, lowest, highest));
                firstRow = row;
                lowest = Integer.MAX_VALUE;
                highest = Integer.MIN_VALUE;
            }
            lowest = Math.min(lowest, first);
            highest = Math.max(highest, last);
        }
        if (rows > 0) {
            groups.add(lowest < highest ? new Group(firstRow, rows, lowest, highest) : new Group(firstRow, rows, 0, 0));
        }
        return groups;
    }
}
