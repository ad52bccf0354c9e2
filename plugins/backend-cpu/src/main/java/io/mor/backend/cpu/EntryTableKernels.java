package io.mor.backend.cpu;

import io.mor.api.cache.KvVisit;
import java.util.List;

/** The tables of generation as {@link io.mor.api.backend.EntryTables} defines them, one row of the batch at a time. */
record EntryTableKernels(
        List<KvVisit> visits,
        int capacity,
        CpuInts rows,
        CpuInts positions,
        CpuInts length,
        CpuInts reserved,
        CpuInts written) {

    /** Enters one row and returns the pool row where its keys and values go, -1 if they are not stored. */
    int append(int sequence, int position, int recursion) {
        KvVisit visit = visits.get(recursion - 1);
        if (!visit.writes()) {
            return -1;
        }
        int own = list(sequence, recursion);
        int used = written.get(own);
        requireRoom("reserved rows", used, sequence, recursion);
        int poolRow = reserved.get(own * capacity + used);
        written.set(own, used + 1);
        for (int reader = 1; reader <= visits.size(); reader++) {
            if (visits.get(reader - 1).source() == recursion) {
                append(list(sequence, reader), sequence, reader, position, poolRow);
            }
        }
        if (visit.overlays()) {
            rows.set(entryAt(own, position), poolRow);
        }
        return poolRow;
    }

    private void append(int list, int sequence, int recursion, int position, int poolRow) {
        int entries = length.get(list);
        requireRoom("entries", entries, sequence, recursion);
        rows.set(list * capacity + entries, poolRow);
        positions.set(list * capacity + entries, position);
        length.set(list, entries + 1);
    }

    /** The first entry that a row sees. */
    int start(int sequence, int position, int recursion) {
        int window = visits.get(recursion - 1).window();
        int list = seenList(sequence, recursion);
        return window == 0 ? list * capacity : firstAfter(list, position - window);
    }

    /** The entry after the last that a row sees. */
    int end(int sequence, int position, int recursion) {
        return firstAfter(seenList(sequence, recursion), position);
    }

    private int list(int sequence, int recursion) {
        return sequence * visits.size() + recursion - 1;
    }

    private int seenList(int sequence, int recursion) {
        KvVisit visit = visits.get(recursion - 1);
        return list(sequence, visit.overlays() ? recursion : visit.source());
    }

    private int firstAfter(int list, int position) {
        int from = positions.offset() + list * capacity;
        return Selection.firstAfter(positions.storage().values(), from, from + length.get(list), position)
                - positions.offset();
    }

    private int entryAt(int list, int position) {
        int entry = firstAfter(list, position) - 1;
        if (entry < list * capacity || positions.get(entry) != position) {
            throw new IllegalStateException("list " + list + " has no entry at position " + position
                    + " to lay over; its source recursion must be appended first");
        }
        return entry;
    }

    private void requireRoom(String what, int used, int sequence, int recursion) {
        if (used >= capacity) {
            throw new IllegalStateException("sequence slot " + sequence + " at recursion " + recursion
                    + " has used all " + capacity + " " + what + "; make the tables larger");
        }
    }
}
