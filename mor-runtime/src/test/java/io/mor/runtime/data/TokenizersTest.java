package io.mor.runtime.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.data.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizersTest {

    @TempDir
    Path folder;

    private static CharacterTokenizer characters(String vocabulary) {
        return new CharacterTokenizer(new CharacterTokenizer.Config(vocabulary, ""));
    }

    @Test
    void bytesAreTheirOwnIds() {
        ByteTokenizer tokenizer = new ByteTokenizer(new ByteTokenizer.Config(false));
        assertEquals(256, tokenizer.vocabularySize());
        assertArrayEquals(new int[] {'a', 0xc3, 0xb6, 0}, tokenizer.encode("aö\0"));
        assertArrayEquals(new byte[] {(byte) 0xc3}, tokenizer.decode(new int[] {0xc3}));
        assertEquals(OptionalInt.empty(), tokenizer.endOfText());
        assertThrows(IllegalArgumentException.class, () -> tokenizer.decode(new int[] {256}));
    }

    @Test
    void theEndOfTextIsOneMoreIdWithoutBytes() {
        ByteTokenizer tokenizer = new ByteTokenizer(new ByteTokenizer.Config(true));
        assertEquals(257, tokenizer.vocabularySize());
        assertEquals(OptionalInt.of(256), tokenizer.endOfText());
        assertArrayEquals(new byte[] {'a'}, tokenizer.decode(new int[] {'a', 256}));
        assertEquals(0, new TokenBytes(tokenizer).of(256));
        assertEquals(2, new TokenBytes(tokenizer).sum(new int[] {1, 256, 255}));
    }

    @Test
    void charactersAreSortedCodePoints() {
        CharacterTokenizer tokenizer = characters("ba😀aö\n");
        assertEquals("\nabö😀", tokenizer.vocabulary());
        assertArrayEquals(new int[] {4, 1, 0}, tokenizer.encode("😀a\n"));
        assertArrayEquals("😀ö".getBytes(StandardCharsets.UTF_8), tokenizer.decode(new int[] {4, 3}));
        assertEquals(4, new TokenBytes(tokenizer).of(4));
        String message = assertThrows(IllegalArgumentException.class, () -> tokenizer.encode("ab?"))
                .getMessage();
        assertTrue(message.contains("'?' U+003F at position 2"), message);
        assertTrue(assertThrows(IllegalArgumentException.class, () -> tokenizer.encode("\t"))
                .getMessage()
                .contains("U+0009"));
        assertNotEquals(tokenizer.fingerprint(), characters("ab").fingerprint());
    }

    @Test
    void aVocabularyIsLearnedAndItsConfigMakesTheSameTokenizer() throws IOException {
        Path text = folder.resolve("text.txt");
        Files.writeString(text, "to be\nor not 😀");
        CharacterTokenizer unlearned = characters("");
        assertTrue(unlearned.needsCorpus());
        assertThrows(IllegalStateException.class, unlearned::vocabularySize);
        LearnableTokenizer.Learned learned = unlearned.learn(new TextFileCorpus(text, DataListener.silent()));
        Tokenizer again = characters(learned.config().get("vocabulary"));
        assertFalse(((CharacterTokenizer) again).needsCorpus());
        assertEquals(learned.tokenizer().fingerprint(), again.fingerprint());
        assertEquals(9, again.vocabularySize(), "t o space b e newline r n 😀");
    }

    @Test
    void aVocabularyMayBeAFile() throws IOException {
        Path file = folder.resolve("characters.txt");
        Files.writeString(file, "cab\n");
        assertEquals("\nabc", new CharacterTokenizer(new CharacterTokenizer.Config("", file.toString())).vocabulary());
        assertThrows(
                IllegalArgumentException.class,
                () -> new CharacterTokenizer(new CharacterTokenizer.Config("a", file.toString())));
        UncheckedIOException missing = assertThrows(
                UncheckedIOException.class,
                () -> new CharacterTokenizer(new CharacterTokenizer.Config("", "no-such-file")));
        assertTrue(missing.getMessage().contains("no-such-file"), missing.getMessage());
    }
}
