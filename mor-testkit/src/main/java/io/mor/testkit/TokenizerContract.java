package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.data.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/**
 * What every {@link Tokenizer} keeps: ids in range, bytes that come back, one id at a time or all at once, no special tokens that nobody
 * asked
 * for, use by many threads, a fingerprint that follows the meaning of ids.
 *
 * <p>Extend it, and say by the methods to override what the tokenizer can do: a vocabulary of few characters overrides {@link #alphabet},
 * one
 * that puts a space in front of every text overrides {@link #decodedPrefix}.
 */
public abstract class TokenizerContract {

    /** A tokenizer; the contract closes it. Called again it gives an equal one. */
    protected abstract Tokenizer tokenizer();

    /** A tokenizer of the same kind whose ids mean something else. */
    protected abstract Tokenizer differentTokenizer();

    /** The characters that can be encoded and come back; by default a mixture from one to four bytes of UTF-8. */
    protected String alphabet() {
        return "abc xyz,.\n\t\u0000\u007fäöß€あ漢😀𝄞";
    }

    /** What decoding puts in front of the text that was encoded. */
    protected String decodedPrefix() {
        return "";
    }

    private List<String> texts() {
        int[] characters = alphabet().codePoints().toArray();
        Random random = new Random(20);
        List<String> texts = new ArrayList<>();
        texts.add(alphabet());
        for (int length : new int[] {1, 2, 3, 7, 61, 1009}) {
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < length; i++) {
                text.appendCodePoint(characters[random.nextInt(characters.length)]);
            }
            texts.add(text.toString());
        }
        return texts;
    }

    private byte[] expected(String text) {
        return (decodedPrefix() + text).getBytes(StandardCharsets.UTF_8);
    }

    private static int[] all(Tokenizer tokenizer) {
        int[] ids = new int[tokenizer.vocabularySize()];
        Arrays.setAll(ids, id -> id);
        return ids;
    }

    @Test
    void everyIdIsInTheVocabulary() {
        try (Tokenizer tokenizer = tokenizer()) {
            for (String text : texts()) {
                for (int id : tokenizer.encode(text)) {
                    assertTrue(
                            id >= 0 && id < tokenizer.vocabularySize(),
                            "id " + id + " of '" + text + "', vocabulary " + tokenizer.vocabularySize());
                }
            }
        }
    }

    @Test
    void theBytesOfATextComeBack() {
        try (Tokenizer tokenizer = tokenizer()) {
            for (String text : texts()) {
                assertArrayEquals(expected(text), tokenizer.decode(tokenizer.encode(text)), "'" + text + "'");
            }
        }
    }

    @Test
    void idsDecodeOneByOneToTheSameBytes() {
        try (Tokenizer tokenizer = tokenizer()) {
            for (String text : texts()) {
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                for (int id : tokenizer.encode(text)) {
                    bytes.writeBytes(tokenizer.decode(new int[] {id}));
                }
                assertArrayEquals(expected(text), bytes.toByteArray(), "'" + text + "'");
            }
        }
    }

    @Test
    void everyIdDecodesAndNoOther() {
        try (Tokenizer tokenizer = tokenizer()) {
            int length = tokenizer.decode(all(tokenizer)).length;
            assertTrue(length > 0, "no id has bytes");
            for (int id : new int[] {-1, tokenizer.vocabularySize(), Integer.MAX_VALUE, Integer.MIN_VALUE}) {
                assertThrows(IllegalArgumentException.class, () -> tokenizer.decode(new int[] {id}), "id " + id);
            }
        }
    }

    @Test
    void nothingIsNoIds() {
        try (Tokenizer tokenizer = tokenizer()) {
            assertArrayEquals(new int[0], tokenizer.encode(""));
            assertArrayEquals(new byte[0], tokenizer.decode(new int[0]));
        }
    }

    @Test
    void specialTokensAreIdsThatAreNotAddedToATextAndHaveNoBytes() {
        try (Tokenizer tokenizer = tokenizer()) {
            for (OptionalInt special : List.of(tokenizer.endOfText(), tokenizer.beginOfText())) {
                if (special.isPresent()) {
                    int id = special.getAsInt();
                    assertTrue(id >= 0 && id < tokenizer.vocabularySize(), "special id " + id);
                    assertArrayEquals(new byte[0], tokenizer.decode(new int[] {id}), "special id " + id);
                    for (String text : texts()) {
                        assertTrue(
                                Arrays.stream(tokenizer.encode(text)).noneMatch(each -> each == id),
                                "special id " + id + " in '" + text + "'");
                    }
                }
            }
        }
    }

    @Test
    void manyThreadsGetTheSameIds() throws Exception {
        try (Tokenizer tokenizer = tokenizer();
                ExecutorService pool = Executors.newFixedThreadPool(4)) {
            List<String> texts = texts();
            List<int[]> once = texts.stream().map(tokenizer::encode).toList();
            Callable<Optional<String>> work = () -> {
                for (int round = 0; round < 20; round++) {
                    for (int i = 0; i < once.size(); i++) {
                        int[] ids = tokenizer.encode(texts.get(i));
                        if (!Arrays.equals(once.get(i), ids)
                                || !Arrays.equals(expected(texts.get(i)), tokenizer.decode(ids))) {
                            return Optional.of(texts.get(i));
                        }
                    }
                }
                return Optional.empty();
            };
            for (Future<Optional<String>> future : pool.invokeAll(List.of(work, work, work, work))) {
                assertEquals(Optional.empty(), future.get(), "this text was encoded differently by another thread");
            }
        }
    }

    @Test
    void fingerprintsAreEqualWhereIdsMeanTheSame() {
        try (Tokenizer tokenizer = tokenizer();
                Tokenizer again = tokenizer();
                Tokenizer different = differentTokenizer()) {
            assertEquals(tokenizer.fingerprint(), again.fingerprint());
            assertNotEquals(tokenizer.fingerprint(), different.fingerprint());
            assertArrayEquals(tokenizer.encode(alphabet()), again.encode(alphabet()));
        }
    }

    @Test
    void closingTwiceIsAllowed() {
        Tokenizer tokenizer = tokenizer();
        tokenizer.close();
        tokenizer.close();
    }
}
