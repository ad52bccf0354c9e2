package io.mor.runtime.data;

import io.mor.api.data.Tokenizer;
import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import jakarta.inject.Inject;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.OptionalInt;

/** The bytes of the text's UTF-8 as ids 0 to 255, and optionally 256 for the end of a text. Thread safety: immutable. */
public final class ByteTokenizer implements Tokenizer {

    private static final int BYTES = 256;

    private final boolean endOfText;

    /**
     * What can be configured.
     *
     * @param endOfText whether there is an id for the end of a text
     */
    public record Config(
            @Help("whether id 256 ends a document") @DefaultValue("false")
            boolean endOfText) {}

    /** A tokenizer. */
    @Inject
    public ByteTokenizer(Config config) {
        this.endOfText = Objects.requireNonNull(config, "config is null").endOfText();
    }

    @Override
    public int vocabularySize() {
        return endOfText ? BYTES + 1 : BYTES;
    }

    @Override
    public int[] encode(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int[] ids = new int[bytes.length];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = Byte.toUnsignedInt(bytes[i]);
        }
        return ids;
    }

    @Override
    public byte[] decode(int[] ids) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(ids.length);
        for (int id : ids) {
            if (id < 0 || id >= vocabularySize()) {
                throw new IllegalArgumentException(
                        "id " + id + " is not among the " + vocabularySize() + " ids of the byte tokenizer");
            }
            if (id < BYTES) {
                bytes.write(id);
            }
        }
        return bytes.toByteArray();
    }

    @Override
    public OptionalInt endOfText() {
        return endOfText ? OptionalInt.of(BYTES) : OptionalInt.empty();
    }

    @Override
    public String fingerprint() {
        return "byte-" + vocabularySize();
    }
}
