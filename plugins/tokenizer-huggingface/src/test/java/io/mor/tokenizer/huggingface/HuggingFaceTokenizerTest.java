package io.mor.tokenizer.huggingface;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HuggingFaceTokenizerTest {

    private static final List<String> MERGES = List.of("h e", "l l", "he ll", "hell o", "Ġ hello");
    private static final String END = "<|endoftext|>";

    @TempDir
    Path folder;

    private static HuggingFaceTokenizer open(Path path, String endOfText) {
        return new HuggingFaceTokenizer(new HuggingFaceConfig(path.toString(), endOfText));
    }

    private Path byteLevel() {
        return TestFiles.byteLevel(folder.resolve("tokenizer.json"), MERGES, List.of(END, "<|pad|>"));
    }

    @Test
    void mergesAreAppliedAndACharacterMayBeSpreadOverIds() {
        try (HuggingFaceTokenizer tokenizer = open(byteLevel(), "")) {
            assertArrayEquals(new int[] {259, 260}, tokenizer.encode("hello hello"), "hello, then a space and hello");
            assertEquals(256 + 5 + 2, tokenizer.vocabularySize());
            int[] euro = tokenizer.encode("€");
            assertArrayEquals(new int[] {0xe2, 0x82, 0xac}, euro);
            assertArrayEquals(new byte[] {(byte) 0x82}, tokenizer.decode(new int[] {euro[1]}));
        }
    }

    @Test
    void everyByteHasItsCharacterInTheAlphabet() {
        char[] alphabet = TestFiles.byteAlphabet();
        for (int b = 0; b < 256; b++) {
            assertEquals(b, TokenDecoding.byteOf(alphabet[b]));
            assertArrayEquals(new byte[] {(byte) b}, TokenDecoding.BYTE_LEVEL.bytes(Character.toString(alphabet[b])));
        }
        assertEquals(-1, TokenDecoding.byteOf(' '));
        assertEquals(-1, TokenDecoding.byteOf((char) (0x100 + 68)));
    }

    @Test
    void theEndOfTextIsFoundDeclaredConfiguredOrTurnedOff() throws IOException {
        Path file = byteLevel();
        int end = 256 + MERGES.size();
        try (HuggingFaceTokenizer found = open(file, "");
                HuggingFaceTokenizer configured = open(folder, "<|pad|>");
                HuggingFaceTokenizer off = open(file, "none")) {
            assertEquals(OptionalInt.of(end), found.endOfText());
            assertEquals(OptionalInt.of(end + 1), configured.endOfText());
            assertEquals(OptionalInt.empty(), off.endOfText());
            assertEquals(OptionalInt.empty(), found.beginOfText());
            assertEquals("hello", new String(found.decode(new int[] {259, end, end + 1}), StandardCharsets.UTF_8));
        }
        Files.writeString(
                folder.resolve("tokenizer_config.json"),
                "{\"eos_token\":{\"content\":\"<|pad|>\"},\"bos_token\":null}");
        try (HuggingFaceTokenizer declared = open(file, "")) {
            assertEquals(OptionalInt.of(end + 1), declared.endOfText());
        }
        Files.writeString(folder.resolve("tokenizer_config.json"), "{\"eos_token\":null}");
        try (HuggingFaceTokenizer undeclared = open(file, "")) {
            assertEquals(OptionalInt.of(end), undeclared.endOfText());
        }
    }

    @Test
    void whatTheFilePutsInFrontOfATextIsTheBeginning() {
        try (HuggingFaceTokenizer tokenizer =
                open(TestFiles.byteFallback(folder.resolve("f.json"), List.of("▁", "a")), "")) {
            assertEquals(OptionalInt.of(1), tokenizer.beginOfText());
            assertEquals(OptionalInt.of(2), tokenizer.endOfText());
            assertArrayEquals(new int[] {260, 259, 260, 3 + '\n'}, tokenizer.encode("a a\n"));
        }
    }

    @Test
    void wrongFilesAreNamedWithARemedy() throws IOException {
        assertRefused(folder.resolve("missing.json"), "", "missing.json", "set the path key");
        assertRefused(
                Files.writeString(folder.resolve("bad.json"), "no json"), "", "bad.json", "is not a tokenizer.json");
        assertRefused(
                Files.writeString(folder.resolve("empty.json"), "{}"), "", "empty.json", "is not a tokenizer.json");
        assertRefused(
                Files.writeString(
                        folder.resolve("model.json"), "{\"model\":{\"type\":\"Nothing\",\"vocab\":{\"a\":0}}}"),
                "",
                "model.json",
                "library");
        assertRefused(byteLevel(), "<end>", "<end>", END);
        Files.writeString(folder.resolve("tokenizer_config.json"), "[");
        assertRefused(byteLevel(), "", "tokenizer_config.json");
    }

    private static void assertRefused(Path path, String endOfText, String... parts) {
        UncheckedIOException e = assertThrows(
                UncheckedIOException.class, () -> open(path, endOfText).close());
        for (String part : parts) {
            assertTrue(e.getMessage().contains(part), e.getMessage());
        }
    }

    @Test
    void aClosedTokenizerSaysSo() {
        HuggingFaceTokenizer tokenizer = open(byteLevel(), "");
        tokenizer.close();
        assertThrows(IllegalStateException.class, () -> tokenizer.encode("a"));
    }

    @Test
    void aSecondClassLoaderLoadsTheLibraryAgain() throws Exception {
        open(byteLevel(), "").close();
        List<URL> urls = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            urls.add(Path.of(entry).toUri().toURL());
        }
        try (URLClassLoader loader =
                new URLClassLoader(urls.toArray(URL[]::new), ClassLoader.getPlatformClassLoader())) {
            Class<?> config = loader.loadClass(HuggingFaceConfig.class.getName());
            Class<?> tokenizer = loader.loadClass(HuggingFaceTokenizer.class.getName());
            Object made = tokenizer
                    .getConstructor(config)
                    .newInstance(config.getConstructor(String.class, String.class)
                            .newInstance(byteLevel().toString(), ""));
            assertArrayEquals(new int[] {259}, (int[])
                    tokenizer.getMethod("encode", String.class).invoke(made, "hello"));
            tokenizer.getMethod("close").invoke(made);
        }
    }
}
