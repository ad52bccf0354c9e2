package io.mor.runtime.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.mor.api.data.Corpus;
import io.mor.api.data.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenShardTest {

    @TempDir
    Path folder;

    private final RecordingListener listener = new RecordingListener();
    private final ByteTokenizer bytes = new ByteTokenizer(new ByteTokenizer.Config(false));

    private record Texts(List<String> texts) implements Corpus {
        Texts(String... texts) {
            this(List.of(texts));
        }

        @Override
        public Stream<Document> documents() {
            return IntStream.range(0, texts.size()).mapToObj(i -> new Document("text " + i, texts.get(i)));
        }

        @Override
        public String fingerprint() {
            return texts.toString();
        }
    }

    /** Ids that need 32 bits. */
    private static final class WideTokenizer implements Tokenizer {
        @Override
        public int vocabularySize() {
            return 70_000;
        }

        @Override
        public int[] encode(String text) {
            return text.chars().map(c -> 69_999 - c).toArray();
        }

        @Override
        public byte[] decode(int[] ids) {
            StringBuilder text = new StringBuilder();
            Arrays.stream(ids).forEach(id -> text.append((char) (69_999 - id)));
            return text.toString().getBytes(StandardCharsets.UTF_8);
        }

        @Override
        public OptionalInt endOfText() {
            return OptionalInt.of(0);
        }

        @Override
        public String fingerprint() {
            return "wide";
        }
    }

    private TokenShard open(Tokenizer tokenizer, ValidationSplit split, Corpus corpus) throws IOException {
        return TokenShard.openOrBuild(
                folder.resolve("cache/shard.tokens"), new TokenSource(corpus, split, true), tokenizer, listener);
    }

    private static String text(Tokenizer tokenizer, TokenDataset dataset) {
        int[] ids = new int[(int) dataset.size()];
        dataset.copy(0, ids, 0, ids.length);
        for (int i = 0; i < ids.length; i++) {
            assertEquals(ids[i], dataset.get(i));
        }
        return new String(tokenizer.decode(ids), StandardCharsets.UTF_8);
    }

    @Test
    void tokensAreTheDocumentsInOrder() throws IOException {
        try (TokenShard shard = open(bytes, new ValidationSplit.None(), new Texts("abc", "", "dö"))) {
            assertEquals("abcdö", text(bytes, shard.training()));
            assertEquals(0, shard.validation().size());
            assertEquals(256, shard.vocabulary());
            assertEquals(256 + 2 * 6, Files.size(shard.file()));
        }
        DataListener.Progress last = listener.progress.getLast();
        assertEquals(new DataListener.Progress(3, 5, 6, true), last);
    }

    @Test
    void largeVocabulariesTake32BitsAndTheEndOfTextFollowsEachDocument() throws IOException {
        try (TokenShard shard = open(new WideTokenizer(), new ValidationSplit.None(), new Texts("ab", "c"))) {
            int[] ids = new int[5];
            shard.training().copy(0, ids, 0, 5);
            assertArrayEquals(new int[] {69_999 - 'a', 69_999 - 'b', 0, 69_999 - 'c', 0}, ids);
            assertEquals(256 + 4 * 5, Files.size(shard.file()));
        }
    }

    @Test
    void theLastPartValidates() throws IOException {
        try (TokenShard shard = open(bytes, new ValidationSplit.TokenFraction(0.3), new Texts("abcdefg"))) {
            assertEquals("abcd", text(bytes, shard.training()));
            assertEquals("efg", text(bytes, shard.validation()));
        }
        // 7 characters, of which the 4 first train; the boundary falls into the second document and never into a
        // character
        try (TokenShard shard =
                open(bytes, new ValidationSplit.CharacterFraction(0.3), new Texts("äö", "ü😀ßf", "g"))) {
            assertEquals("äöü😀", text(bytes, shard.training()));
            assertEquals("ßfg", text(bytes, shard.validation()));
        }
        try (TokenShard shard = open(bytes, new ValidationSplit.Separate(new Texts("xyz")), new Texts("abc"))) {
            assertEquals("abc", text(bytes, shard.training()));
            assertEquals("xyz", text(bytes, shard.validation()));
        }
        assertThrows(IllegalArgumentException.class, () -> new ValidationSplit.TokenFraction(1));
        assertThrows(IllegalArgumentException.class, () -> new ValidationSplit.CharacterFraction(Double.NaN));
    }

    @Test
    void whatIsUnchangedIsUsedAgainAndWhatChangedIsNot() throws IOException {
        List<String> fingerprints = new ArrayList<>();
        List<ValidationSplit> splits = List.of(new ValidationSplit.None(), new ValidationSplit.TokenFraction(0.5));
        for (int i = 0; i < 2; i++) {
            open(bytes, splits.get(0), new Texts("abcd")).close();
        }
        assertEquals(1, finished(), "the second time it was there");
        try (TokenShard shard = open(bytes, splits.get(1), new Texts("abcd"))) {
            fingerprints.add(shard.fingerprint());
        }
        assertEquals(2, finished(), "another split");
        try (TokenShard shard = open(bytes, splits.get(1), new Texts("abce"))) {
            fingerprints.add(shard.fingerprint());
        }
        assertEquals(3, finished(), "another text");
        try (TokenShard shard =
                open(new ByteTokenizer(new ByteTokenizer.Config(true)), splits.get(1), new Texts("abce"))) {
            fingerprints.add(shard.fingerprint());
        }
        assertEquals(4, finished(), "another tokenizer");
        assertEquals(3, fingerprints.stream().distinct().count());
        assertEquals(List.of(), listener.warnings);
    }

    private long finished() {
        return listener.progress.stream()
                .filter(DataListener.Progress::finished)
                .count();
    }

    @Test
    void everyDamagedByteIsNoticedAndRepaired() throws IOException {
        Texts corpus = new Texts("hello");
        open(bytes, new ValidationSplit.None(), corpus).close();
        Path file = folder.resolve("cache/shard.tokens");
        byte[] whole = Files.readAllBytes(file);
        for (int i = 0; i < whole.length; i++) {
            byte[] damaged = whole.clone();
            damaged[i] ^= 0x10;
            Files.write(file, damaged);
            assertThrows(IOException.class, () -> TokenShard.open(file).close(), "byte " + i);
            listener.warnings.clear();
            open(bytes, new ValidationSplit.None(), corpus).close();
            assertEquals(1, listener.warnings.size(), "byte " + i);
            assertTrue(listener.warnings.getFirst().contains(file.toString()), listener.warnings.getFirst());
            assertArrayEquals(whole, Files.readAllBytes(file));
        }
        for (int length = 0; length < whole.length; length++) {
            Files.write(file, Arrays.copyOf(whole, length));
            assertThrows(IOException.class, () -> TokenShard.open(file).close(), "length " + length);
        }
        try (Stream<Path> files = Files.list(file.getParent())) {
            assertEquals(1, files.count(), "no temporary file is left");
        }
    }

    @Test
    void aShardThatCannotBeMadeLeavesTheOldOne() throws IOException {
        open(bytes, new ValidationSplit.None(), new Texts("hello")).close();
        Path file = folder.resolve("cache/shard.tokens");
        byte[] before = Files.readAllBytes(file);
        CharacterTokenizer abc = new CharacterTokenizer(new CharacterTokenizer.Config("abc", ""));
        CorpusException unknown = assertThrows(
                CorpusException.class,
                () -> open(abc, new ValidationSplit.None(), new Texts("abc", "abd"))
                        .close());
        assertTrue(
                unknown.getMessage().contains("text 1") && unknown.getMessage().contains("'d'"), unknown.getMessage());
        CorpusException empty = assertThrows(
                CorpusException.class,
                () -> open(bytes, new ValidationSplit.None(), new Texts("")).close());
        assertTrue(empty.getMessage().contains("no text"), empty.getMessage());
        assertArrayEquals(before, Files.readAllBytes(file));
        try (Stream<Path> files = Files.list(file.getParent())) {
            assertEquals(1, files.count());
        }
    }

    @Test
    void longDocumentsAreCutAfterALineAndNeverInACharacter() throws IOException {
        String line = "x".repeat(1000) + "\n";
        String text = line.repeat(ShardBuilder.PIECE / 1001 + 7);
        int end = ShardBuilder.pieceEnd(text, 0);
        assertTrue(end <= ShardBuilder.PIECE && end > ShardBuilder.PIECE - 1001 && text.charAt(end - 1) == '\n');
        String pairs = "x" + "😀".repeat(ShardBuilder.PIECE / 2 + 5);
        assertTrue(Character.isHighSurrogate(pairs.charAt(ShardBuilder.pieceEnd(pairs, 0))));
        try (TokenShard shard = open(bytes, new ValidationSplit.None(), new Texts(pairs))) {
            assertEquals(pairs, text(bytes, shard.training()));
        }
    }

    @Test
    void closedShardsAreNotRead() throws IOException {
        TokenShard shard = open(bytes, new ValidationSplit.None(), new Texts("hello"));
        TokenDataset dataset = shard.training();
        shard.close();
        shard.close();
        assertThrows(IllegalStateException.class, () -> dataset.get(0));
        assertNotEquals("", shard.fingerprint());
    }

    @Test
    void tinyShakespeareHasNanoGptsSizes() throws IOException {
        Path text = Path.of(System.getProperty("mor.project.root"), "../shared/data/tinyshakespeare/input.txt");
        assumeTrue(Files.exists(text), "skipped: ../shared/data/tinyshakespeare/input.txt is not there");
        Corpus corpus = Corpora.of(text.toString(), "text", listener);
        Tokenizer characters = new CharacterTokenizer(new CharacterTokenizer.Config("", ""))
                .learn(corpus)
                .tokenizer();
        assertEquals(65, characters.vocabularySize());
        for (ValidationSplit split :
                List.of(new ValidationSplit.TokenFraction(0.1), new ValidationSplit.CharacterFraction(0.1))) {
            try (TokenShard shard = open(characters, split, corpus)) {
                assertEquals(1_003_854, shard.training().size());
                assertEquals(111_540, shard.validation().size());
                assertEquals(
                        Files.readString(text),
                        text(characters, shard.training()) + text(characters, shard.validation()));
            }
        }
    }
}
