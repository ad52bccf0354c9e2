package io.mor.runtime.data;

import io.mor.api.data.Corpus;
import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import jakarta.inject.Inject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * One id for each character (Unicode code point) of a vocabulary, in ascending order of the code points: nanoGPT's character setting, 65
 * ids
 * on tiny Shakespeare. The vocabulary is given as a string or a file, or learned from the corpus.
 *
 * <p>Thread safety: immutable.
 */
public final class CharacterTokenizer implements LearnableTokenizer {

    private final int[] characters; // ascending; empty: not learned yet
    private final Map<Integer, Integer> ids;

    /**
     * What can be configured. With neither key the vocabulary is learned from the corpus and saved with the run.
     *
     * @param vocabulary the characters, in any order
     * @param file a UTF-8 file; the characters in it are the vocabulary
     */
    public record Config(
            @Help("the characters of the vocabulary; empty learns them from the corpus") @DefaultValue("\"\"")
            String vocabulary,

            @Help("a UTF-8 file whose characters are the vocabulary, instead of the vocabulary key")
            @DefaultValue("\"\"")
            String file) {}

    /**
     * A tokenizer.
     *
     * @throws UncheckedIOException if the vocabulary file cannot be read
     * @throws IllegalArgumentException if both a vocabulary and a file are given
     */
    @Inject
    public CharacterTokenizer(Config config) {
        this(characters(config));
    }

    private CharacterTokenizer(int[] sorted) {
        this.characters = sorted;
        this.ids = HashMap.newHashMap(sorted.length);
        for (int id = 0; id < sorted.length; id++) {
            ids.put(sorted[id], id);
        }
    }

    private static int[] characters(Config config) {
        if (config.file().isEmpty()) {
            return config.vocabulary().codePoints().sorted().distinct().toArray();
        }
        if (!config.vocabulary().isEmpty()) {
            throw new IllegalArgumentException("tokenizer 'character' has a vocabulary and a file; give one of them");
        }
        Path file = Path.of(config.file());
        try {
            CorpusFiles.requireFile(file);
            String text = Files.readString(file, StandardCharsets.UTF_8);
            if (text.isEmpty()) {
                throw new CorpusException(file + " is empty; it must hold the characters of the vocabulary");
            }
            return text.codePoints().sorted().distinct().toArray();
        } catch (IOException e) {
            throw new UncheckedIOException(
                    "the vocabulary file of tokenizer 'character' cannot be read: " + e.getMessage(), e);
        }
    }

    @Override
    public boolean needsCorpus() {
        return characters.length == 0;
    }

    @Override
    public Learned learn(Corpus corpus) throws IOException {
        TreeSet<Integer> found = new TreeSet<>();
        boolean[] plane = new boolean[1 << 16]; // the common case without boxing
        try (Stream<Corpus.Document> documents = corpus.documents()) {
            documents.forEach(document -> document.text().codePoints().forEach(character -> {
                if (character >= plane.length) {
                    found.add(character);
                } else {
                    plane[character] = true;
                }
            }));
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
        for (int character = 0; character < plane.length; character++) {
            if (plane[character]) {
                found.add(character);
            }
        }
        if (found.isEmpty()) {
            throw new CorpusException(
                    "the corpus holds no character to learn a vocabulary from; give a corpus with text");
        }
        CharacterTokenizer learned = new CharacterTokenizer(
                found.stream().mapToInt(Integer::intValue).toArray());
        return new Learned(learned, Map.of("vocabulary", learned.vocabulary()));
    }

    /** The characters, in the order of their ids; empty if not learned yet. */
    public String vocabulary() {
        return new String(characters, 0, characters.length);
    }

    @Override
    public int vocabularySize() {
        requireVocabulary();
        return characters.length;
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalArgumentException naming the first character that is not in the vocabulary
     */
    @Override
    public int[] encode(String text) {
        requireVocabulary();
        int[] points = text.codePoints().toArray();
        for (int i = 0; i < points.length; i++) {
            Integer id = ids.get(points[i]);
            if (id == null) {
                throw new IllegalArgumentException(
                        "character " + name(points[i]) + " at position " + i + " is not among the " + characters.length
                                + " characters of the vocabulary; leave it out, or train with a vocabulary that has it");
            }
            points[i] = id;
        }
        return points;
    }

    private static String name(int point) {
        String shown = Character.isISOControl(point) ? "" : "'" + Character.toString(point) + "' ";
        return shown + String.format("U+%04X", point);
    }

    @Override
    public byte[] decode(int[] ids) {
        requireVocabulary();
        StringBuilder text = new StringBuilder(ids.length);
        for (int id : ids) {
            if (id < 0 || id >= characters.length) {
                throw new IllegalArgumentException(
                        "id " + id + " is not among the " + characters.length + " ids of the character tokenizer");
            }
            text.appendCodePoint(characters[id]);
        }
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public String fingerprint() {
        requireVocabulary();
        return "character-" + new Fingerprint().add(Arrays.toString(characters)).hex();
    }

    private void requireVocabulary() {
        if (characters.length == 0) {
            throw new IllegalStateException(
                    "tokenizer 'character' has no vocabulary yet; give one in the config, or let it learn from a corpus");
        }
    }
}
