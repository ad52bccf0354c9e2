package io.mor.runtime.importer;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A model in the version 0 layout of llama2.c: seven little-endian int32 (hidden, ffn, layers, heads, key-value heads, vocabulary,
 * context; a
 * negative vocabulary means that the head is not tied), then f32: embedding, then stacks over the layers (attention norm, wq, wk, wv, wo,
 * feed-forward norm, w1 gate, w2 down, w3 up), final norm, two tables of the rotary embedding that nothing uses any more, and the head if
 * it
 * is not tied.
 *
 * <p>llama2.c rotates the pairs (2i, 2i+1) of a head, we rotate (i, i + width/2): the rows of wq and wk are put into our order, so that
 * the same
 * angles meet the same rows and attention gives the same scores.
 *
 * <p>The file is memory-mapped until {@link #close}; a weight is read when it is asked for. Thread safety: safe for concurrent use.
 */
public final class Llama2cFile implements AutoCloseable {

    private static final int HEADER_BYTES = 7 * Integer.BYTES;
    private static final int NEWER_VERSION_MAGIC = 0x616b3432; // "ak42", versions 1 and later
    private static final double NORM_EPSILON = 1e-5;
    private static final double ROPE_THETA = 1e4;
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path file;
    private final Arena arena;
    private final MemorySegment mapped;
    private final LlamaShape shape;
    private final Map<String, Place> places;

    /** @param rotatedHeads heads whose rows are interleaved pairs; 0 if rows stay in order */
    private record Place(long offset, List<Integer> shape, int rotatedHeads) {
        long count() {
            return shape.stream().mapToLong(Integer::longValue).reduce(1, (a, b) -> a * b);
        }
    }

    private Llama2cFile(Path file, Arena arena, MemorySegment mapped, LlamaShape shape, Map<String, Place> places) {
        this.file = file;
        this.arena = arena;
        this.mapped = mapped;
        this.shape = shape;
        this.places = places;
    }

    /**
     * Maps and checks a file.
     *
     * @throws IOException if it cannot be read, is of another version, has impossible sizes, or has not the length that its sizes ask for
     */
    public static Llama2cFile open(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new IOException("no such llama2.c model: " + file + "; check the path");
        }
        Arena arena = Arena.ofShared();
        boolean opened = false;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            LlamaShape shape = readShape(file, mapped);
            Map<String, Place> places = new LinkedHashMap<>();
            long end = lay(shape, places);
            if (mapped.byteSize() != end) {
                throw new IOException(file + " has " + mapped.byteSize() + " bytes, a model of these sizes has " + end
                        + " (" + shape.inWords() + "); "
                        + (mapped.byteSize() < end ? "it is truncated, get it again" : "it is not a version 0 file"));
            }
            opened = true;
            return new Llama2cFile(file, arena, mapped, shape, places);
        } finally {
            if (!opened) {
                arena.close();
            }
        }
    }

    private static LlamaShape readShape(Path file, MemorySegment mapped) throws IOException {
        if (mapped.byteSize() < HEADER_BYTES) {
            throw new IOException(file + " is truncated: " + mapped.byteSize()
                    + " bytes are less than the header of a llama2.c model");
        }
        int[] header = new int[7];
        MemorySegment.copy(mapped, I32, 0, header, 0, header.length);
        if (header[0] == NEWER_VERSION_MAGIC) {
            throw new IOException(file + " is a llama2.c file of version " + header[1] + "; export it with version 0");
        }
        int vocabulary = Math.abs(header[5]);
        LlamaShape shape = new LlamaShape(
                header[0],
                header[1],
                header[2],
                header[3],
                header[4],
                vocabulary,
                header[6],
                header[5] > 0,
                NORM_EPSILON,
                ROPE_THETA);
        boolean positive = shape.hidden() > 0
                && shape.ffn() > 0
                && shape.layers() > 0
                && shape.heads() > 0
                && shape.kvHeads() > 0
                && vocabulary > 0
                && shape.context() > 0;
        if (!positive
                || shape.hidden() % shape.heads() != 0
                || shape.heads() % shape.kvHeads() != 0
                || shape.headWidth() % 2 != 0) {
            throw new IOException(
                    file + " is not a llama2.c version 0 model: its sizes are impossible (" + shape.inWords() + ")");
        }
        return shape;
    }

    /** Where everything is; returns the length of the file. */
    private static long lay(LlamaShape shape, Map<String, Place> places) {
        int hidden = shape.hidden();
        int ffn = shape.ffn();
        int kvWidth = shape.kvWidth();
        Cursor cursor = new Cursor(shape.layers(), places);
        cursor.place("embed.weight", List.of(shape.vocabulary(), hidden), 0);
        cursor.stack("input_layernorm", List.of(hidden), 0);
        cursor.stack("self_attn.q_proj", List.of(hidden, hidden), shape.heads());
        cursor.stack("self_attn.k_proj", List.of(kvWidth, hidden), shape.kvHeads());
        cursor.stack("self_attn.v_proj", List.of(kvWidth, hidden), 0);
        cursor.stack("self_attn.o_proj", List.of(hidden, hidden), 0);
        cursor.stack("post_attention_layernorm", List.of(hidden), 0);
        cursor.stack("mlp.gate_proj", List.of(ffn, hidden), 0);
        cursor.stack("mlp.down_proj", List.of(hidden, ffn), 0);
        cursor.stack("mlp.up_proj", List.of(ffn, hidden), 0);
        cursor.place("norm.weight", List.of(hidden), 0);
        cursor.offset +=
                (long) Float.BYTES * shape.context() * shape.headWidth(); // two tables of [context, headWidth / 2]
        if (!shape.tied()) {
            cursor.place("lm_head.weight", List.of(shape.vocabulary(), hidden), 0);
        }
        return cursor.offset;
    }

    private static final class Cursor {
        final int layers;
        final Map<String, Place> places;
        long offset = HEADER_BYTES;

        Cursor(int layers, Map<String, Place> places) {
            this.layers = layers;
            this.places = places;
        }

        void place(String name, List<Integer> shape, int rotatedHeads) {
            Place place = new Place(offset, shape, rotatedHeads);
            places.put(name, place);
            offset += Float.BYTES * place.count();
        }

        void stack(String name, List<Integer> shape, int rotatedHeads) {
            for (int layer = 0; layer < layers; layer++) {
                place("layers." + layer + "." + name + ".weight", shape, rotatedHeads);
            }
        }
    }

    /** The model's sizes. */
    public LlamaShape shape() {
        return shape;
    }

    /** The names of all weights, ours. */
    public Set<String> names() {
        return Collections.unmodifiableSet(places.keySet());
    }

    /**
     * A weight, in our layout.
     *
     * @throws IllegalArgumentException if there is none of the name
     */
    public ImportedWeight weight(String name) {
        Place place = places.get(name);
        if (place == null) {
            throw new IllegalArgumentException(file + ": no weight '" + name + "'; there are " + places.keySet());
        }
        float[] values = new float[Math.toIntExact(place.count())];
        if (place.rotatedHeads() == 0) {
            MemorySegment.copy(mapped, F32, place.offset(), values, 0, values.length);
        } else {
            copyHalves(place, values);
        }
        return new ImportedWeight(name, place.shape(), values);
    }

    /** Row 2i of a head becomes row i, row 2i + 1 becomes row i + width / 2. */
    private void copyHalves(Place place, float[] values) {
        int columns = place.shape().get(1);
        int width = place.shape().get(0) / place.rotatedHeads();
        for (int head = 0; head < place.rotatedHeads(); head++) {
            for (int row = 0; row < width; row++) {
                int from = head * width + row;
                int to = head * width + row / 2 + (row % 2) * (width / 2);
                MemorySegment.copy(
                        mapped,
                        F32,
                        place.offset() + (long) Float.BYTES * from * columns,
                        values,
                        to * columns,
                        columns);
            }
        }
    }

    /** All weights by name, in the order of {@link #names}. */
    public Map<String, ImportedWeight> weights() {
        Map<String, ImportedWeight> weights = new LinkedHashMap<>();
        for (String name : places.keySet()) {
            weights.put(name, weight(name));
        }
        return weights;
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
