package io.mor.runtime.importer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

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
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class Llama2cTokenizerTest {

    @TempDir
    Path folder;

    private static void put(ByteArrayOutputStream out, float score, String piece) {
        byte[] bytes = piece.getBytes(StandardCharsets.UTF_8);
        out.writeBytes(ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putFloat(score)
                .putInt(bytes.length)
                .array());
        out.writeBytes(bytes);
    }

    /** Specials, bytes, then the given pieces from id 259, each with a lower score than the one before. */
    private static byte[] file(String... pieces) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(new byte[] {16, 0, 0, 0});
        put(out, 0, "<unk>");
        put(out, 0, "\n<s>\n");
        put(out, 0, "\n</s>\n");
        for (int i = 0; i < 256; i++) {
            put(out, 0, String.format("<0x%02X>", i));
        }
        for (int i = 0; i < pieces.length; i++) {
            put(out, -i, pieces[i]);
        }
        return out.toByteArray();
    }

    private Llama2cTokenizer tokenizer(int endOfText, byte[] bytes) throws IOException {
        Path path = Files.write(folder.resolve("tok.bin"), bytes);
        return new Llama2cTokenizer(new Llama2cTokenizer.Config(path.toString(), endOfText));
    }

    @Test
    void theBestScoreIsJoinedFirstAndTheLeftmostOfEquals() throws IOException {
        // bc has a better score than ab: abc becomes a + bc, not ab + c
        Llama2cTokenizer tokenizer = tokenizer(-1, file("bc", "ab", " a", "aa", " ", "a", "b", "c"));
        assertArrayEquals(new int[] {261, 259}, tokenizer.encode("abc"));
        assertArrayEquals(new int[] {263, 265, 264, 260}, tokenizer.encode("baab"));
        assertArrayEquals(new int[] {261, 262, 262}, tokenizer.encode("aaaaa"));
        assertArrayEquals(new int[0], tokenizer.encode(""));
    }

    @Test
    void whatIsNoPieceBecomesItsBytes() throws IOException {
        Llama2cTokenizer tokenizer = tokenizer(-1, file(" ", "a", "ö"));
        assertArrayEquals(new int[] {259, 260, 261, 3 + 0xe2, 3 + 0x82, 3 + 0xac, 13}, tokenizer.encode("aö€\n"));
        assertEquals(" aö€\n", new String(tokenizer.decode(tokenizer.encode("aö€\n")), StandardCharsets.UTF_8));
        assertArrayEquals(new byte[] {(byte) 0xe2}, tokenizer.decode(new int[] {3 + 0xe2}), "a part of a character");
    }

    @Test
    void theSpaceAfterTheBeginningIsLeftOut() throws IOException {
        Llama2cTokenizer tokenizer = tokenizer(2, file(" ", "a", " a"));
        assertEquals("a a", new String(tokenizer.decode(new int[] {1, 261, 261, 2}), StandardCharsets.UTF_8));
        assertEquals(" a", new String(tokenizer.decode(new int[] {261}), StandardCharsets.UTF_8));
        assertEquals(OptionalInt.of(2), tokenizer.endOfText());
        assertEquals(OptionalInt.of(1), tokenizer.beginOfText());
        assertThrows(IllegalArgumentException.class, () -> tokenizer.decode(new int[] {262}));
        assertThrows(IllegalArgumentException.class, () -> tokenizer.decode(new int[] {-1}));
    }

    @Test
    void wrongFilesAreRefusedByName() throws IOException {
        byte[] whole = file(" ", "a");
        assertRefused(Arrays.copyOf(whole, whole.length - 1), "truncated");
        assertRefused(Arrays.copyOf(whole, 4), "bytes <0x00>");
        assertRefused(new byte[0], "bytes <0x00>");
        assertRefused("no tokenizer at all".getBytes(StandardCharsets.UTF_8), "not a llama2.c tokenizer");
        assertThrows(IllegalArgumentException.class, () -> tokenizer(261, whole));
        assertNotEquals(
                tokenizer(-1, whole).fingerprint(),
                tokenizer(-1, file(" ", "b")).fingerprint());
    }

    private void assertRefused(byte[] bytes, String part) {
        UncheckedIOException e = assertThrows(UncheckedIOException.class, () -> tokenizer(-1, bytes));
        assertTrue(e.getMessage().contains(part) && e.getMessage().contains("tok.bin"), e.getMessage());
    }

    /** The loop of llama2.c, word for word: look at all neighbours, join the best, begin again. */
    private static int[] naive(List<String> pieces, int[] symbols) {
        List<Integer> ids = new ArrayList<>(Arrays.stream(symbols).boxed().toList());
        while (true) {
            int best = -1;
            for (int i = 0; i + 1 < ids.size(); i++) {
                int id = pieces.indexOf(pieces.get(ids.get(i)) + pieces.get(ids.get(i + 1)));
                if (id >= 0
                        && (best < 0
                                || id < pieces.indexOf(pieces.get(ids.get(best)) + pieces.get(ids.get(best + 1))))) {
                    best = i;
                }
            }
            if (best < 0) {
                return ids.stream().mapToInt(Integer::intValue).toArray();
            }
            ids.set(best, pieces.indexOf(pieces.get(ids.get(best)) + pieces.get(ids.get(best + 1))));
            ids.remove(best + 1);
        }
    }

    @Test
    void joiningByQueueEqualsTheLoopOfLlama2c() throws IOException {
        Random random = new Random(7);
        for (int round = 0; round < 200; round++) {
            List<String> pieces = new ArrayList<>();
            for (int i = 0; i < 40; i++) {
                StringBuilder piece = new StringBuilder();
                for (int length = 2 + random.nextInt(4); length > 0; length--) {
                    piece.append((char) ('a' + random.nextInt(3)));
                }
                if (!pieces.contains(piece.toString())) {
                    pieces.add(piece.toString());
                }
            }
            pieces.addAll(List.of(" ", "a", "b", "c")); // scores fall with the index
            Llama2cTokenizer tokenizer = tokenizer(-1, file(pieces.toArray(String[]::new)));
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < 61; i++) {
                text.append((char) ('a' + random.nextInt(3)));
            }
            int[] symbols = (" " + text)
                    .chars()
                    .map(c -> pieces.indexOf(Character.toString(c)))
                    .toArray();
            int[] expected =
                    Arrays.stream(naive(pieces, symbols)).map(id -> id + 259).toArray();
            assertArrayEquals(
                    expected, tokenizer.encode(text.toString()), "round " + round + " " + text + " " + pieces);
        }
    }

    @Test
    void tok512ReadsAndWritesTheReferenceText() throws IOException {
        Path data = Path.of(System.getProperty("mor.project.root"), "../shared/data/stories260K");
        assumeTrue(Files.exists(data), "skipped: ../shared/data/stories260K is not there");
        Llama2cTokenizer tokenizer = new Llama2cTokenizer(
                new Llama2cTokenizer.Config(data.resolve("tok512.bin").toString(), -1));
        assertEquals(512, tokenizer.vocabularySize());
        JsonNode reference = new JsonMapper().readTree(Files.readAllBytes(data.resolve("reference.json")));
        int[] ids = StreamSupport.stream(reference.get("greedy_tokens").spliterator(), false)
                .mapToInt(JsonNode::intValue)
                .toArray();
        String expected =
                Files.readString(data.resolve("expected_greedy_n200.txt")).stripTrailing();
        String text = new String(tokenizer.decode(ids), StandardCharsets.UTF_8);
        assertTrue(expected.startsWith(text) || text.startsWith(expected), text);
        assertTrue(text.length() > 400, "only " + text.length() + " characters");
        String prompt = "Once upon a time, there was a little girl named Lily.";
        int[] encoded = tokenizer.encode(prompt);
        assertArrayEquals(Arrays.copyOfRange(ids, 1, 1 + encoded.length), encoded);
        assertEquals(" " + prompt, new String(tokenizer.decode(encoded), StandardCharsets.UTF_8));
    }
}
