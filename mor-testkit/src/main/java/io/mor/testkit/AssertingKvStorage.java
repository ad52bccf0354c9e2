package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.cache.KvView;
import io.mor.api.cache.KvViews;
import io.mor.api.routing.TokenBatch;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.model.KvStorage;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.PagedKvStorage;
import io.mor.runtime.model.Stage;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;

/**
 * Storage of keys and values around another that checks how it is used: rows come in order, a token's positions ascend at each recursion, each
 * layer's view is asked for and used once per visit and while that visit lasts, keys and values are there exactly where the plan says, with the
 * batch's rows; sequences are opened before they are used, room is reserved before it is taken, and nothing is released or closed twice or left
 * open. Every broken rule is an {@link AssertionError} that says what and where.
 *
 * <p>It reads positions back, so it does not go into a {@linkplain HostBlindBackend#blind blind section}. Thread safety: one thread.
 */
public final class AssertingKvStorage implements KvStorage, AutoCloseable {

    private final KvStorage delegate;
    private final Optional<PagedKvStorage> paged;
    private final MorModel model;
    private final Set<Integer> open = new TreeSet<>();
    private final Map<Integer, Integer> reserved = new HashMap<>(); // tokens that may still come, per sequence
    private final Map<Entry, Integer> lastPosition = new HashMap<>();
    private final List<Visit> visits = new ArrayList<>(); // the last one is the current
    private boolean called;
    private boolean closed;

    /** The rows of one sequence that passed one recursion of one stage. */
    private record Entry(int stage, int sequence, int recursion) {}

    private record Row(int sequence, int position, int recursion) {
        boolean isBefore(Row other) {
            return recursion != other.recursion
                    ? recursion < other.recursion
                    : sequence != other.sequence ? sequence < other.sequence : position < other.position;
        }

        @Override
        public String toString() {
            return "position " + position + " of sequence " + sequence + " at recursion " + recursion;
        }
    }

    private AssertingKvStorage(KvStorage delegate, Optional<PagedKvStorage> paged, MorModel model) {
        this.delegate = delegate;
        this.paged = paged;
        this.model = model;
    }

    /** Around a storage of one call over whole sequences. */
    public static AssertingKvStorage ofStep(MorModel model) {
        return new AssertingKvStorage(model.stepStorage(), Optional.empty(), model);
    }

    /** Around a paged storage, which it makes and owns. */
    public static AssertingKvStorage paged(Backend backend, MorModel model, int slots, int capacity) {
        PagedKvStorage storage = new PagedKvStorage(backend, model, slots, capacity);
        return new AssertingKvStorage(storage, Optional.of(storage), model);
    }

    private PagedKvStorage pages(String what) {
        requireOpen(what);
        return paged.orElseThrow(() -> new AssertionError(what + ": this storage lives for one call and has no pages"));
    }

    private void requireOpen(String what) {
        if (closed) {
            throw new AssertionError(what + ": the storage is closed");
        }
    }

    private void requireSequence(String what, int slot) {
        if (!open.contains(slot)) {
            throw new AssertionError(what + ": sequence " + slot + " is not open; open are " + open);
        }
    }

    /** As {@link PagedKvStorage#open}. */
    public int open() {
        int slot = pages("open").open();
        if (!open.add(slot)) {
            throw new AssertionError("open: sequence " + slot + " was given out twice");
        }
        return slot;
    }

    /** As {@link PagedKvStorage#release}. */
    public void release(int slot) {
        PagedKvStorage storage = pages("release");
        requireSequence("release", slot);
        storage.release(slot);
        open.remove(slot);
        reserved.remove(slot);
        lastPosition.keySet().removeIf(entry -> entry.sequence() == slot);
    }

    /** As {@link PagedKvStorage#reserve}. */
    public void reserve(int slot, int tokens) {
        PagedKvStorage storage = pages("reserve");
        requireSequence("reserve", slot);
        if (called) {
            throw new AssertionError(
                    "reserve: the calls before were not synchronized, so that pages may be handed out twice");
        }
        storage.reserve(slot, tokens);
        reserved.put(slot, tokens);
    }

    /** As {@link PagedKvStorage#synchronize}. */
    public void synchronize() {
        pages("synchronize").synchronize();
        finishVisit();
        called = false;
    }

    /** As {@link PagedKvStorage#entries}. */
    public long entries(int slot) {
        requireSequence("entries", slot);
        return pages("entries").entries(slot);
    }

    /**
     * Closes the storage.
     *
     * @throws AssertionError if it is closed already, a view was not used, or sequences are still open
     */
    @Override
    public void close() {
        requireOpen("close");
        closed = true;
        paged.ifPresent(PagedKvStorage::close);
        finishVisit();
        if (!open.isEmpty()) {
            throw new AssertionError("close: sequences " + open + " were never released");
        }
    }

    @Override
    public KvViews visit(ModelCall call, int stage, TokenBatch batch) {
        requireOpen("visit");
        finishVisit();
        List<Row> rows = rows(call.backend(), batch);
        Stage visited = model.stages().get(stage);
        for (int i = 0; i < rows.size(); i++) {
            Row row = rows.get(i);
            if (i > 0 && !rows.get(i - 1).isBefore(row)) {
                throw new AssertionError("visit: rows are out of order: " + row + " comes after " + rows.get(i - 1));
            }
            if (row.recursion() < 1 || row.recursion() > visited.recursions()) {
                throw new AssertionError("visit: " + row + " is in stage " + stage + ", which has "
                        + visited.recursions() + " recursions");
            }
            if (paged.isPresent()) {
                requireSequence("visit", row.sequence());
                requireRoom(row, rows);
            }
        }
        checkPositions(stage, rows);
        called = true;
        Visit visit = new Visit(visited, batch, delegate.visit(call, stage, batch));
        visits.add(visit);
        return visit;
    }

    private void requireRoom(Row row, List<Row> rows) {
        long coming = rows.stream()
                .filter(other -> other.sequence() == row.sequence() && other.recursion() == row.recursion())
                .count();
        if (coming > reserved.getOrDefault(row.sequence(), 0)) {
            throw new AssertionError("visit: " + coming + " rows of sequence " + row.sequence()
                    + " come and room is reserved for " + reserved.getOrDefault(row.sequence(), 0));
        }
    }

    private void checkPositions(int stage, List<Row> rows) {
        for (Row row : rows) {
            Integer last = lastPosition.put(new Entry(stage, row.sequence(), row.recursion()), row.position());
            if (last != null && last >= row.position()) {
                throw new AssertionError("visit: out of order: " + row + " comes after position " + last);
            }
        }
    }

    private static List<Row> rows(Backend backend, TokenBatch batch) {
        Extent extent = batch.extent();
        int count = extent.isExact()
                ? extent.bound()
                : backend.readInts(extent.count().get())[0];
        int[] sequence = backend.readInts(batch.sequence());
        int[] position = backend.readInts(batch.position());
        int[] recursion = backend.readInts(batch.recursion());
        return IntStream.range(0, count)
                .mapToObj(i -> new Row(sequence[i], position[i], recursion[i]))
                .toList();
    }

    private void finishVisit() {
        if (!visits.isEmpty()) {
            visits.removeLast().finish();
        }
    }

    private final class Visit implements KvViews {
        private final Stage stage;
        private final TokenBatch batch;
        private final KvViews views;
        private final Set<Integer> asked = new TreeSet<>();
        private final Set<Integer> used = new HashSet<>();

        Visit(Stage stage, TokenBatch batch, KvViews views) {
            this.stage = stage;
            this.batch = batch;
            this.views = views;
        }

        @Override
        public KvView layer(int layer) {
            requireCurrent("layer " + layer);
            if (layer < 0 || layer >= stage.layers()) {
                throw new AssertionError("layer: there is no layer " + layer + " in a block of " + stage.layers());
            }
            if (!asked.add(layer)) {
                throw new AssertionError("layer: layer " + layer + " was asked for twice in one visit");
            }
            return new View(this, layer, views.layer(layer));
        }

        void requireCurrent(String what) {
            requireOpen(what);
            if (visits.isEmpty() || visits.getLast() != this) {
                throw new AssertionError(what + ": a view is used after its visit");
            }
        }

        /** A block without attention asks for no view at all. */
        void finish() {
            for (int layer = 0; layer < stage.layers(); layer++) {
                if (asked.contains(layer) && !used.contains(layer)) {
                    throw new AssertionError("layer: the view of layer " + layer + " was asked for and never attended");
                }
                if (!asked.isEmpty() && !asked.contains(layer)) {
                    throw new AssertionError(
                            "layer: layers " + asked + " were asked for and layer " + layer + " was not");
                }
            }
        }
    }

    private record View(Visit visit, int layer, KvView delegate) implements KvView {

        @Override
        public boolean projects() {
            visit.requireCurrent("projects of layer " + layer);
            return delegate.projects();
        }

        @Override
        public Tensor attend(AttentionShape shape, Tensor queries, Optional<Tensor> keys, Optional<Tensor> values) {
            String what = "attend of layer " + layer;
            visit.requireCurrent(what);
            if (!visit.used.add(layer)) {
                throw new AssertionError(what + ": called twice in one visit");
            }
            requireShape(what, "queries", queries, shape.queryWidth());
            if (keys.isPresent() != delegate.projects() || values.isPresent() != delegate.projects()) {
                throw new AssertionError(what + ": keys and values are " + (keys.isPresent() ? "given" : "missing")
                        + " where projects() is " + delegate.projects());
            }
            keys.ifPresent(given -> requireShape(what, "keys", given, shape.kvWidth()));
            values.ifPresent(given -> requireShape(what, "values", given, shape.kvWidth()));
            return delegate.attend(shape, queries, keys, values);
        }

        private void requireShape(String what, String name, Tensor tensor, int columns) {
            Extent expected = visit.batch.extent();
            if (tensor.columns() != columns
                    || tensor.rows() != expected.bound()
                    || tensor.extent().isExact() != expected.isExact()) {
                throw new AssertionError(what + ": " + name + " are " + KernelCall.shape(tensor)
                        + " where the batch has " + expected.bound() + (expected.isExact() ? "" : " counted")
                        + " rows and the heads " + columns + " columns");
            }
        }
    }
}
