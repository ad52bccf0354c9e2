package io.mor.runtime.model;

import io.mor.api.backend.Backend;
import io.mor.api.backend.EntryTables;
import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvView;
import io.mor.api.cache.KvViews;
import io.mor.api.cache.KvVisit;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Keys and values of generation: for every sequence slot and recursion a list of entries whose rows lie in pages of a pool. Lives longer than a
 * call; a token's keys and values take memory only in the recursions it went through (spec 4.5).
 *
 * <p>How many entries a list has is known on the device first. The host reserves room for the worst case before a call ({@link #reserve}) and
 * reads the counts after it ({@link #synchronize}), never in between.
 *
 * <p>Thread safety: one thread.
 */
public final class PagedKvStorage implements KvStorage, AutoCloseable {

    /** Rows of the pool that are handed out together. */
    public static final int PAGE_ROWS = 16;

    private final Backend backend;
    private final AttentionShape shape;
    private final int slots;
    private final int capacity;
    private final List<List<Group>> groups = new ArrayList<>(); // per stage
    private final Deque<Integer> freeSlots = new ArrayDeque<>();

    /**
     * Storage for a model.
     *
     * @param slots sequences that can be held at a time
     * @param capacity tokens that a sequence can have
     */
    public PagedKvStorage(Backend backend, MorModel model, int slots, int capacity) {
        this.backend = backend;
        this.shape = model.shape().attention();
        this.slots = slots;
        this.capacity = capacity;
        for (Stage stage : model.stages()) {
            groups.add(groups(stage, model.cache()));
        }
        for (int slot = 0; slot < slots; slot++) {
            freeSlots.add(slot);
        }
    }

    private List<Group> groups(Stage stage, KvCache cache) {
        Map<List<KvVisit>, List<Integer>> layersByPlan = new LinkedHashMap<>();
        for (int layer = 0; layer < stage.layers(); layer++) {
            List<KvVisit> plan = new ArrayList<>();
            for (int recursion = 1; recursion <= stage.recursions(); recursion++) {
                plan.add(stage.plan(cache, recursion, layer));
            }
            layersByPlan.computeIfAbsent(plan, key -> new ArrayList<>()).add(layer);
        }
        List<Group> result = new ArrayList<>();
        layersByPlan.forEach((plan, layers) -> result.add(new Group(plan, layers)));
        return result;
    }

    /** Tokens that a sequence can have. */
    public int capacity() {
        return capacity;
    }

    /** Sequences that can still be opened. */
    public int freeSlots() {
        return freeSlots.size();
    }

    /**
     * Takes a slot for a new sequence.
     *
     * @throws IllegalStateException if none is free
     */
    public int open() {
        if (freeSlots.isEmpty()) {
            throw new IllegalStateException("all " + slots + " sequence slots of the key-value storage are taken");
        }
        return freeSlots.pop();
    }

    /** Gives a sequence's slot and pages back. */
    public void release(int slot) {
        groups.forEach(stage -> stage.forEach(group -> group.release(slot)));
        freeSlots.push(slot);
    }

    /** Makes room for up to {@code tokens} more in every list of a slot. To be called before a call that brings them. */
    public void reserve(int slot, int tokens) {
        groups.forEach(stage -> stage.forEach(group -> group.reserve(slot, tokens)));
    }

    /** Reads how many entries the last call added. To be called after each call, before the next {@link #reserve}. */
    public void synchronize() {
        groups.forEach(stage -> stage.forEach(Group::synchronize));
    }

    /** Keys and values held for a slot, as rows over all layers and recursions; one row is one token's keys and values in one layer. */
    public long entries(int slot) {
        long total = 0;
        for (List<Group> stage : groups) {
            for (Group group : stage) {
                total += group.writtenRows(slot) * group.layers.size();
            }
        }
        return total;
    }

    /** Bytes of keys and values held for a slot. */
    public long bytes(int slot) {
        return entries(slot) * 2 * shape.kvWidth() * backend.precision().bytes();
    }

    @Override
    public KvViews visit(ModelCall call, int stage, TokenBatch batch) {
        Map<Group, GroupVisit> visits = new LinkedHashMap<>();
        return layer -> {
            Group group = groups.get(stage).stream()
                    .filter(candidate -> candidate.layers.contains(layer))
                    .findFirst()
                    .orElseThrow();
            GroupVisit visit = visits.computeIfAbsent(group, key -> new GroupVisit(call, key, batch));
            return new View(call, visit, group.layers.indexOf(layer));
        };
    }

    /** What the layers of one plan share in one visit: where the rows go and what they see. */
    private static final class GroupVisit {
        private final Group group;
        private final boolean projects;
        private final IntTensor poolRow;
        private final AttentionRanges ranges;

        GroupVisit(ModelCall call, Group group, TokenBatch batch) {
            this.group = group;
            Backend backend = call.backend();
            // After a selection from mixed recursions the host does not know which are left.
            this.projects = batch.segments().isEmpty()
                    ? group.plan.stream().anyMatch(KvVisit::writes)
                    : batch.segments().stream()
                            .anyMatch(segment ->
                                    group.plan.get(segment.recursion() - 1).writes());
            this.poolRow = call.region().allocateInts(batch.rows());
            backend.appendEntries(
                    poolRow, group.tables, batch.sequence(), batch.position(), batch.recursion(), batch.extent());
            IntTensor start = call.region().allocateInts(batch.rows());
            IntTensor end = call.region().allocateInts(batch.rows());
            backend.entryRanges(
                    start, end, group.tables, batch.sequence(), batch.position(), batch.recursion(), batch.extent());
            this.ranges = new AttentionRanges(start, end, Optional.of(group.tables.rows()), group.tables.capacity());
        }
    }

    private record View(ModelCall call, GroupVisit visit, int layer) implements KvView {

        @Override
        public boolean projects() {
            return visit.projects;
        }

        @Override
        public Tensor attend(AttentionShape shape, Tensor queries, Optional<Tensor> keys, Optional<Tensor> values) {
            Tensor keyPool = visit.group.keys.get(layer);
            Tensor valuePool = visit.group.values.get(layer);
            keys.ifPresent(fresh -> call.backend().scatterRows(keyPool, visit.poolRow, fresh));
            values.ifPresent(fresh -> call.backend().scatterRows(valuePool, visit.poolRow, fresh));
            return call.ops().attention(queries, keyPool, valuePool, visit.ranges, shape);
        }
    }

    /** The layers of a stage that follow one plan: their entry tables, pools and pages. */
    private final class Group {
        private final List<KvVisit> plan;
        private final List<Integer> layers;
        private final EntryTables tables;
        private final List<Tensor> keys = new ArrayList<>();
        private final List<Tensor> values = new ArrayList<>();
        private final Deque<Integer> freePages = new ArrayDeque<>();
        private final List<List<Integer>> pages = new ArrayList<>(); // per list
        private final int[] written;
        private int poolPages;

        Group(List<KvVisit> plan, List<Integer> layers) {
            this.plan = List.copyOf(plan);
            this.layers = List.copyOf(layers);
            int lists = slots * plan.size();
            int entries = Math.multiplyExact(lists, capacity);
            this.written = new int[lists];
            this.tables = new EntryTables(
                    this.plan,
                    capacity,
                    backend.allocateInts(entries),
                    backend.allocateInts(entries),
                    backend.allocateInts(lists),
                    backend.allocateInts(entries),
                    backend.allocateInts(lists));
            backend.fill(tables.length(), 0);
            backend.fill(tables.written(), 0);
            for (int list = 0; list < lists; list++) {
                pages.add(new ArrayList<>());
            }
            grow(Math.max(1, Math.ceilDiv(capacity, PAGE_ROWS)));
        }

        private void grow(int morePages) {
            int oldRows = poolPages * PAGE_ROWS;
            int newPages = poolPages + morePages;
            for (int i = 0; i < layers.size(); i++) {
                grow(keys, i, oldRows, newPages * PAGE_ROWS);
                grow(values, i, oldRows, newPages * PAGE_ROWS);
            }
            for (int page = poolPages; page < newPages; page++) {
                freePages.add(page);
            }
            poolPages = newPages;
        }

        private void grow(List<Tensor> pools, int index, int oldRows, int newRows) {
            Tensor larger = backend.allocate(newRows, shape.kvWidth(), backend.activationPrecision(shape.kvWidth()));
            backend.fill(larger, 0);
            if (index < pools.size()) {
                backend.copy(backend.view(larger, 0, Extent.exact(oldRows), shape.kvWidth()), pools.get(index));
                backend.release(pools.get(index));
                pools.set(index, larger);
            } else {
                pools.add(larger);
            }
        }

        void reserve(int slot, int tokens) {
            for (int recursion = 0; recursion < plan.size(); recursion++) {
                if (plan.get(recursion).writes()) {
                    reserveList(slot * plan.size() + recursion, tokens);
                }
            }
        }

        private void reserveList(int list, int tokens) {
            int needed = written[list] + tokens;
            if (needed > capacity) {
                throw new IllegalStateException(
                        "a sequence would have " + needed + " tokens, but its storage has room for " + capacity);
            }
            List<Integer> owned = pages.get(list);
            while (owned.size() * PAGE_ROWS < needed) {
                if (freePages.isEmpty()) {
                    grow(poolPages);
                }
                int page = freePages.pop();
                int from = owned.size() * PAGE_ROWS;
                owned.add(page);
                int[] rows = new int[Math.min(PAGE_ROWS, capacity - from)];
                for (int i = 0; i < rows.length; i++) {
                    rows[i] = page * PAGE_ROWS + i;
                }
                backend.write(backend.view(tables.reserved(), list * capacity + from, rows.length), rows);
            }
        }

        void synchronize() {
            System.arraycopy(backend.readInts(tables.written()), 0, written, 0, written.length);
        }

        void release(int slot) {
            int first = slot * plan.size();
            for (int list = first; list < first + plan.size(); list++) {
                freePages.addAll(pages.get(list));
                pages.get(list).clear();
                written[list] = 0;
            }
            backend.fill(backend.view(tables.length(), first, plan.size()), 0);
            backend.fill(backend.view(tables.written(), first, plan.size()), 0);
        }

        long writtenRows(int slot) {
            long rows = 0;
            for (int recursion = 0; recursion < plan.size(); recursion++) {
                rows += written[slot * plan.size() + recursion];
            }
            return rows;
        }

        void close() {
            keys.forEach(backend::release);
            values.forEach(backend::release);
            for (IntTensor table :
                    List.of(tables.rows(), tables.positions(), tables.length(), tables.reserved(), tables.written())) {
                backend.release(table);
            }
        }
    }

    @Override
    public void close() {
        groups.forEach(stage -> stage.forEach(Group::close));
        groups.clear();
    }
}
