package io.mor.backend.reference;

import io.mor.api.cache.KvVisit;
import java.util.List;

/** The tables of generation as {@link io.mor.api.backend.EntryTables} defines them, one row of the batch at a time. */
record EntryTableKernels(
        List<KvVisit> visits,
        int capacity,
        ReferenceInts rows,
        ReferenceInts positions,
        ReferenceInts length,
        ReferenceInts reserved,
        ReferenceInts written) {

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
                int list = list(sequence, reader);
                int entries = length.get(list);
                requireRoom("entries", entries, sequence, reader);
                rows.set(list * capacity + entries, poolRow);
                positions.set(list * capacity + entries, position);
                length.set(list, entries + 1);
            }
        }
        if (visit.overlays()) {
            rows.set(entryAt(own, position), poolRow);
        }
        return poolRow;
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

    /** The first entry of a list whose position is greater than {@code position}, or the list's end. */
    private int firstAfter(int list, int position) {
        int entry = list * capacity;
        int end = entry + length.get(list);
        while (entry < end && positions.get(entry) <= position) {
            entry++;
        }
        return entry;
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
