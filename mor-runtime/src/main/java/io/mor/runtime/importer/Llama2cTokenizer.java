package io.mor.runtime.importer;

import io.mor.api.data.Tokenizer;
import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import io.mor.runtime.data.Fingerprint;
import jakarta.inject.Inject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.PriorityQueue;

/**
 * A tokenizer file of llama2.c: little-endian int32 with the longest piece, then for each id a float32 score, an int32 length and the bytes
 * of the piece. Ids 0 to 2 are unknown, begin and end, 3 to 258 the bytes, all others pieces of text.
 *
 * <p>Encodes as llama2.c does: a space goes in front of the text, characters that are pieces become ids and others their bytes, then the
 * neighbours that make the piece with the best score are joined, the leftmost of equals, until none can be. Decoding gives that space back,
 * except after the id that begins a text.
 *
 * <p>Thread safety: immutable.
 */
public final class Llama2cTokenizer implements Tokenizer {

    private static final int BEGIN = 1;
    private static final int FIRST_BYTE = 3;
    private static final int FIRST_PIECE = FIRST_BYTE + 256;

    private final byte[][] pieces;
    private final float[] scores;
    private final Map<Integer, Integer> characters; // code point to id
    private final Map<Long, Integer> merges; // left id << 32 | right id, to the id of both together
    private final OptionalInt endOfText;
    private final String fingerprint;

    /**
     * What can be configured.
     *
     * @param path of the tokenizer file
     * @param endOfText the id that ends a text
     */
    public record Config(
            @Help("tokenizer file of llama2.c, for example tok512.bin")
            String path,

            @Help("the id that ends a text; -1 for none (models of llama2.c begin the next text with id 1)")
            @DefaultValue("-1")
            @Range(min = -1)
            int endOfText) {}

    /**
     * Reads the file.
     *
     * @throws UncheckedIOException if it cannot be read or is damaged, naming it
     * @throws IllegalArgumentException if the end of text is not an id
     */
    @Inject
    public Llama2cTokenizer(Config config) {
        this(Path.of(config.path()), config.endOfText());
    }

    private Llama2cTokenizer(Path file, int endOfText) {
        byte[] bytes = read(file);
        List<byte[]> found = new ArrayList<>();
        List<Float> foundScores = new ArrayList<>();
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        int longest = buffer.remaining() >= Integer.BYTES ? buffer.getInt() : -1;
        while (buffer.hasRemaining()) {
            float score = buffer.remaining() >= 8 ? buffer.getFloat() : Float.NaN;
            int length = buffer.remaining() >= 4 ? buffer.getInt() : -1;
            if (Float.isNaN(score) || length < 0 || length > longest || length > buffer.remaining()) {
                throw new UncheckedIOException(
                        new IOException(file + " is not a llama2.c tokenizer, or truncated: the piece of id "
                                + found.size() + " is impossible; get it again"));
            }
            byte[] piece = new byte[length];
            buffer.get(piece);
            found.add(piece);
            foundScores.add(score);
        }
        if (found.size() < FIRST_PIECE
                || !Arrays.equals(found.get(FIRST_BYTE), "<0x00>".getBytes(StandardCharsets.UTF_8))) {
            throw new UncheckedIOException(new IOException(
                    file + " is not a llama2.c tokenizer: ids 3 to 258 must be the bytes <0x00> to <0xFF>, it has "
                            + found.size() + " ids"));
        }
        if (endOfText >= found.size()) {
            throw new IllegalArgumentException(
                    "end-of-text " + endOfText + " is not among the " + found.size() + " ids of " + file);
        }
        this.pieces = found.toArray(byte[][]::new);
        this.scores = new float[pieces.length];
        Map<String, Integer> ids = new HashMap<>();
        for (int id = 0; id < pieces.length; id++) {
            scores[id] = foundScores.get(id);
            if (id >= FIRST_PIECE) {
                ids.putIfAbsent(new String(pieces[id], StandardCharsets.UTF_8), id);
            }
        }
        this.characters = new HashMap<>();
        this.merges = new HashMap<>();
        ids.forEach((piece, id) -> index(ids, piece, id));
        this.endOfText = endOfText < 0 ? OptionalInt.empty() : OptionalInt.of(endOfText);
        this.fingerprint =
                "llama2c-" + endOfText + "-" + new Fingerprint().add(bytes).hex();
    }

    private static byte[] read(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new UncheckedIOException(
                    new IOException("no such llama2.c tokenizer: " + file + "; check the path key"));
        }
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new UncheckedIOException("the llama2.c tokenizer " + file + " cannot be read: " + e.getMessage(), e);
        }
    }

    private void index(Map<String, Integer> ids, String piece, int id) {
        if (piece.isEmpty()) {
            return;
        }
        if (piece.codePointCount(0, piece.length()) == 1) {
            characters.put(piece.codePointAt(0), id);
            return;
        }
        for (int split = piece.offsetByCodePoints(0, 1);
                split < piece.length();
                split = piece.offsetByCodePoints(split, 1)) {
            Integer left = ids.get(piece.substring(0, split));
            Integer right = ids.get(piece.substring(split));
            if (left != null && right != null) {
                merges.put(pair(left, right), id);
            }
        }
    }

    private static long pair(int left, int right) {
        return ((long) left << 32) | right;
    }

    @Override
    public int vocabularySize() {
        return pieces.length;
    }

    @Override
    public int[] encode(String text) {
        return text.isEmpty() ? new int[0] : new Merging(symbols(" " + text)).run();
    }

    private int[] symbols(String text) {
        int[] symbols = new int[4 * text.length()]; // a UTF-16 unit has at most 3 bytes of UTF-8
        int count = 0;
        for (int at = 0; at < text.length(); ) {
            int point = text.codePointAt(at);
            at += Character.charCount(point);
            Integer id = characters.get(point);
            if (id != null) {
                symbols[count++] = id;
            } else {
                for (byte b : Character.toString(point).getBytes(StandardCharsets.UTF_8)) {
                    symbols[count++] = FIRST_BYTE + Byte.toUnsignedInt(b);
                }
            }
        }
        return Arrays.copyOf(symbols, count);
    }

    /** A possible join of the symbol at a position with the next; void when either has changed since. */
    private record Join(float score, int left, int leftId, int rightId, int id) implements Comparable<Join> {
        @Override
        public int compareTo(Join other) {
            int byScore = Float.compare(other.score + 0f, score + 0f); // -0 equals 0
            return byScore != 0 ? byScore : Integer.compare(left, other.left);
        }
    }

    /** Symbols as a linked list over their positions, and the joins that are possible, best first. */
    private final class Merging {
        private static final int JOINED = -1;

        private final int[] ids;
        private final int[] next;
        private final int[] previous;
        private final PriorityQueue<Join> joins = new PriorityQueue<>();

        Merging(int[] symbols) {
            ids = symbols;
            next = new int[symbols.length];
            previous = new int[symbols.length];
            for (int i = 0; i < symbols.length; i++) {
                next[i] = i + 1;
                previous[i] = i - 1;
            }
            for (int i = 0; i + 1 < symbols.length; i++) {
                offer(i);
            }
        }

        private void offer(int left) {
            int right = next[left];
            Integer id = merges.get(pair(ids[left], ids[right]));
            if (id != null) {
                joins.add(new Join(scores[id], left, ids[left], ids[right], id));
            }
        }

        int[] run() {
            for (Join join = joins.poll(); join != null; join = joins.poll()) {
                int left = join.left();
                int right = next[left];
                if (ids[left] == join.leftId() && right < ids.length && ids[right] == join.rightId()) {
                    ids[left] = join.id();
                    ids[right] = JOINED;
                    next[left] = next[right];
                    if (next[left] < ids.length) {
                        previous[next[left]] = left;
                        offer(left);
                    }
                    if (previous[left] >= 0) {
                        offer(previous[left]);
                    }
                }
            }
            return Arrays.stream(ids).filter(id -> id != JOINED).toArray();
        }
    }

    @Override
    public byte[] decode(int[] ids) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(4 * ids.length);
        int previous = -1;
        for (int id : ids) {
            if (id < 0 || id >= pieces.length) {
                throw new IllegalArgumentException(
                        "id " + id + " is not among the " + pieces.length + " ids of the llama2.c tokenizer");
            }
            if (id >= FIRST_PIECE) {
                byte[] piece = pieces[id];
                int skipped = previous == BEGIN && piece.length > 0 && piece[0] == ' ' ? 1 : 0;
                bytes.write(piece, skipped, piece.length - skipped);
            } else if (id >= FIRST_BYTE) {
                bytes.write(id - FIRST_BYTE);
            }
            previous = id;
        }
        return bytes.toByteArray();
    }

    @Override
    public OptionalInt endOfText() {
        return endOfText;
    }

    @Override
    public OptionalInt beginOfText() {
        return OptionalInt.of(BEGIN);
    }

    @Override
    public String fingerprint() {
        return fingerprint;
    }
}
