package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.backend.Backend;
import io.mor.api.backend.EntryTables;
import io.mor.api.cache.KvVisit;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * Three sequence slots whose tokens go through the recursions in chunks: a prefill of several positions or a single token goes through
 * recursion 1, then a part of it through 2, and so on. One batch holds the next chunk of a random choice of slots, so recursions are mixed.
 */
final class EntryTableScenario implements AutoCloseable {

    private static final int SLOTS = 3;
    private static final int CAPACITY = 61;

    private final Backend backend;
    private final List<KvVisit> visits;
    private final Random random;
    private final EntryTables tables;
    private final int[] reserved;
    private final List<NavigableMap<Integer, Integer>> written = new ArrayList<>(); // by list: position to pool row
    private final int[] nextRecursion = new int[SLOTS]; // of the chunk that is under way, 0-based
    private final List<List<Integer>> chunk = new ArrayList<>();
    private final int[] nextPosition = new int[SLOTS];

    EntryTableScenario(Backend backend, List<KvVisit> visits, int seed) {
        this.backend = backend;
        this.visits = visits;
        this.random = new Random(seed);
        int lists = SLOTS * visits.size();
        List<Integer> poolRows =
                new ArrayList<>(IntStream.range(0, lists * CAPACITY).boxed().toList());
        Collections.shuffle(poolRows, random);
        reserved = poolRows.stream().mapToInt(Integer::intValue).toArray();
        tables = new EntryTables(
                visits,
                CAPACITY,
                ints(filled(lists * CAPACITY, -7)),
                ints(filled(lists * CAPACITY, -7)),
                ints(new int[lists]),
                ints(reserved),
                ints(new int[lists]));
        for (int list = 0; list < lists; list++) {
            written.add(new TreeMap<>());
        }
        for (int slot = 0; slot < SLOTS; slot++) {
            chunk.add(List.of());
        }
    }

    private IntTensor ints(int[] values) {
        IntTensor tensor = backend.allocateInts(values.length);
        backend.write(tensor, values);
        return tensor;
    }

    private static int[] filled(int length, int value) {
        int[] filled = new int[length];
        Arrays.fill(filled, value);
        return filled;
    }

    /** One row of a batch. */
    private record Row(int slot, int position, int recursion) {}

    void step(boolean counted, String place) {
        List<Row> batch = nextBatch();
        int bound = batch.size() + (counted ? 3 : 0);
        int[] garbage = filled(bound, 0x3fff_ffff);
        IntTensor sequence = ints(column(batch.stream().mapToInt(Row::slot), garbage));
        IntTensor position = ints(column(batch.stream().mapToInt(Row::position), garbage));
        IntTensor recursion = ints(column(batch.stream().mapToInt(Row::recursion), garbage));
        IntTensor count = ints(new int[] {batch.size()});
        IntTensor poolRow = ints(filled(bound, -9));
        IntTensor start = ints(filled(bound, -9));
        IntTensor end = ints(filled(bound, -9));
        Extent extent = counted ? Extent.counted(bound, count) : Extent.exact(bound);

        backend.appendEntries(poolRow, tables, sequence, position, recursion, extent);
        int[] expectedRows = batch.stream().mapToInt(this::append).toArray();
        assertArrayEquals(expectedRows, Arrays.copyOf(backend.readInts(poolRow), batch.size()), "pool rows, " + place);
        checkTables(place);

        backend.entryRanges(start, end, tables, sequence, position, recursion, extent);
        int[] starts = backend.readInts(start);
        int[] ends = backend.readInts(end);
        int[] rows = backend.readInts(tables.rows());
        for (int i = 0; i < batch.size(); i++) {
            int[] seen = Arrays.copyOfRange(rows, starts[i], ends[i]);
            assertArrayEquals(visible(batch.get(i)), seen, "what " + batch.get(i) + " sees, " + place);
        }
        for (IntTensor tensor : List.of(sequence, position, recursion, count, poolRow, start, end)) {
            backend.release(tensor);
        }
    }

    private static int[] column(IntStream values, int[] garbage) {
        int[] column = garbage.clone();
        int[] used = values.toArray();
        System.arraycopy(used, 0, column, 0, used.length);
        return column;
    }

    /** Rows sorted by recursion, slot and position; empty now and then. */
    private List<Row> nextBatch() {
        List<Row> batch = new ArrayList<>();
        for (int slot = 0; slot < SLOTS; slot++) {
            if (random.nextInt(3) == 0) {
                continue;
            }
            if (chunk.get(slot).isEmpty() || nextRecursion[slot] == visits.size()) {
                int size = nextPosition[slot] == 0 ? 7 : random.nextInt(1, 3);
                int first = nextPosition[slot];
                chunk.set(slot, IntStream.range(first, first + size).boxed().toList());
                nextPosition[slot] += size;
                nextRecursion[slot] = 0;
            }
            for (int position : chunk.get(slot)) {
                batch.add(new Row(slot, position, nextRecursion[slot] + 1));
            }
            chunk.set(
                    slot,
                    chunk.get(slot).stream()
                            .filter(position -> random.nextInt(4) > 0)
                            .toList());
            nextRecursion[slot]++;
        }
        batch.sort(Comparator.comparingInt(Row::recursion)
                .thenComparingInt(Row::slot)
                .thenComparingInt(Row::position));
        return batch;
    }

    private NavigableMap<Integer, Integer> written(int slot, int recursion) {
        return written.get(slot * visits.size() + recursion - 1);
    }

    private int append(Row row) {
        if (!visits.get(row.recursion() - 1).writes()) {
            return -1;
        }
        NavigableMap<Integer, Integer> own = written(row.slot(), row.recursion());
        int poolRow = reserved[(row.slot() * visits.size() + row.recursion() - 1) * CAPACITY + own.size()];
        own.put(row.position(), poolRow);
        return poolRow;
    }

    /** What a row sees: its source's pool rows by position, its own recursion's laid over, from the window on. */
    private int[] visible(Row row) {
        KvVisit visit = visits.get(row.recursion() - 1);
        return entries(row.slot(), row.recursion()).entrySet().stream()
                .filter(entry -> entry.getKey() <= row.position())
                .filter(entry -> visit.window() == 0 || entry.getKey() > row.position() - visit.window())
                .mapToInt(Map.Entry::getValue)
                .toArray();
    }

    private NavigableMap<Integer, Integer> entries(int slot, int recursion) {
        KvVisit visit = visits.get(recursion - 1);
        NavigableMap<Integer, Integer> entries = new TreeMap<>(written(slot, visit.source()));
        if (visit.overlays()) {
            entries.putAll(written(slot, recursion));
        }
        return entries;
    }

    private void checkTables(String place) {
        int[] length = backend.readInts(tables.length());
        int[] used = backend.readInts(tables.written());
        int[] rows = backend.readInts(tables.rows());
        int[] positions = backend.readInts(tables.positions());
        for (int list = 0; list < length.length; list++) {
            NavigableMap<Integer, Integer> entries = entries(list / visits.size(), list % visits.size() + 1);
            assertEquals(entries.size(), length[list], "length of list " + list + ", " + place);
            assertEquals(written.get(list).size(), used[list], "rows written of list " + list + ", " + place);
            int first = list * CAPACITY;
            assertArrayEquals(
                    entries.keySet().stream().mapToInt(Integer::intValue).toArray(),
                    Arrays.copyOfRange(positions, first, first + length[list]),
                    "positions of list " + list + ", " + place);
            assertArrayEquals(
                    entries.values().stream().mapToInt(Integer::intValue).toArray(),
                    Arrays.copyOfRange(rows, first, first + length[list]),
                    "rows of list " + list + ", " + place);
            for (int entry = first + length[list]; entry < first + CAPACITY; entry++) {
                assertEquals(-7, rows[entry], "an entry after the end of list " + list + ", " + place);
            }
        }
    }

    @Override
    public void close() {
        for (IntTensor tensor :
                List.of(tables.rows(), tables.positions(), tables.length(), tables.reserved(), tables.written())) {
            backend.release(tensor);
        }
    }
}
