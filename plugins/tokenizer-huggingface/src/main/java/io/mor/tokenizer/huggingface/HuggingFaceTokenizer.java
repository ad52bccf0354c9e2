package io.mor.tokenizer.huggingface;

import io.mor.api.data.Tokenizer;
import jakarta.inject.Inject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.OptionalInt;

/**
 * A Hugging Face {@code tokenizer.json}. Encodes as the library of Hugging Face does, without the special tokens that it would add around a
 * text; the name of a special token within a text becomes that token, as there. Decodes byte-level and SentencePiece vocabularies id by id
 * to exact bytes, so that a character may be spread over ids; other kinds, WordPiece for one, as a whole by the library.
 *
 * <p>Owns a native tokenizer until {@link #close}. Thread safety: safe for concurrent use.
 */
public final class HuggingFaceTokenizer implements Tokenizer {

    private static final byte[] NO_BYTES = {};

    private final NativeTokenizer library;
    private final boolean wholeSequences;
    private final byte[][] bytes; // by id
    private final OptionalInt endOfText;
    private final OptionalInt beginOfText;
    private final String fingerprint;

    /**
     * Reads the file and loads the native library.
     *
     * @throws UncheckedIOException if the file cannot be read or is no tokenizer, naming it and the remedy
     */
    @Inject
    public HuggingFaceTokenizer(HuggingFaceConfig config) {
        TokenizerFile file;
        try {
            file = TokenizerFile.read(Path.of(config.path()));
            endOfText = file.endOfText(config.endOfText());
        } catch (IOException e) {
            throw new UncheckedIOException(e.getMessage(), e);
        }
        wholeSequences = file.decoding() == TokenDecoding.LIBRARY;
        bytes = new byte[file.tokens().size()][];
        for (int id = 0; id < bytes.length; id++) {
            boolean silent = file.special().contains(id) || endOfText.isPresent() && endOfText.getAsInt() == id;
            bytes[id] = silent
                    ? NO_BYTES
                    : file.tokens().get(id).map(file.decoding()::bytes).orElse(NO_BYTES);
        }
        fingerprint = "huggingface-" + (endOfText.isPresent() ? endOfText.getAsInt() : "none") + "-" + file.digest();
        library = open(file);
        beginOfText = findBegin();
    }

    private static NativeTokenizer open(TokenizerFile file) {
        try {
            NativeTokenizer library = new NativeTokenizer(file.json());
            library.keepLengths();
            return library;
        } catch (RuntimeException e) {
            throw new UncheckedIOException(new IOException(
                    file.file() + " is not a tokenizer that the Hugging Face library reads: " + e.getMessage(), e));
        } catch (LinkageError e) {
            throw new UncheckedIOException(new IOException(
                    "the native library of the tokenizer 'huggingface' cannot be loaded on this platform ("
                            + System.getProperty("os.name") + " " + System.getProperty("os.arch") + "): " + e
                            + "; use the tokenizer 'byte'",
                    e));
        }
    }

    /** What the library puts in front of a text when it adds special tokens. */
    private OptionalInt findBegin() {
        long[] with = library.encode("a", true);
        long[] without = library.encode("a", false);
        boolean begins = with.length > without.length
                && with.length > 0
                && Arrays.equals(without, Arrays.copyOfRange(with, 1, 1 + without.length));
        return begins ? OptionalInt.of((int) with[0]) : OptionalInt.empty();
    }

    @Override
    public int vocabularySize() {
        return bytes.length;
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalStateException after {@link #close}
     */
    @Override
    public int[] encode(String text) {
        long[] ids = library.encode(text, false);
        int[] narrow = new int[ids.length];
        for (int i = 0; i < ids.length; i++) {
            narrow[i] = (int) ids[i];
        }
        return narrow;
    }

    @Override
    public byte[] decode(int[] ids) {
        for (int id : ids) {
            if (id < 0 || id >= bytes.length) {
                throw new IllegalArgumentException(
                        "id " + id + " is not among the " + bytes.length + " ids of the huggingface tokenizer");
            }
        }
        if (wholeSequences) {
            return library.decode(Arrays.stream(ids).asLongStream().toArray()).getBytes(StandardCharsets.UTF_8);
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream(4 * ids.length);
        for (int id : ids) {
            out.writeBytes(bytes[id]);
        }
        return out.toByteArray();
    }

    @Override
    public OptionalInt endOfText() {
        return endOfText;
    }

    @Override
    public OptionalInt beginOfText() {
        return beginOfText;
    }

    @Override
    public String fingerprint() {
        return fingerprint;
    }

    @Override
    public void close() {
        library.close();
    }
}
