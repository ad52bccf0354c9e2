package io.mor.testkit;

import io.mor.api.data.Tokenizer;
import io.mor.runtime.importer.Llama2cTokenizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;

/** The tokenizer {@code llama2c} on a file written here. */
class Llama2cTokenizerTest extends TokenizerContract {
    @TempDir
    Path folder;

    @Override
    protected Tokenizer tokenizer() {
        return tokenizer("ab");
    }

    @Override
    protected Tokenizer differentTokenizer() {
        return tokenizer("ac");
    }

    @Override
    protected String decodedPrefix() {
        return " ";
    }

    private Tokenizer tokenizer(String longPiece) {
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        file.writeBytes(new byte[] {8, 0, 0, 0});
        put(file, "<unk>");
        put(file, "\n<s>\n");
        put(file, "\n</s>\n");
        for (int i = 0; i < 256; i++) {
            put(file, String.format("<0x%02X>", i));
        }
        for (String piece : new String[] {longPiece, " ", "a", "b", "c", "ö", " a", "😀"}) {
            put(file, piece);
        }
        try {
            Path path = Files.write(folder.resolve(longPiece + ".bin"), file.toByteArray());
            return new Llama2cTokenizer(new Llama2cTokenizer.Config(path.toString(), 2));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void put(ByteArrayOutputStream out, String piece) {
        byte[] bytes = piece.getBytes(StandardCharsets.UTF_8);
        out.writeBytes(ByteBuffer.allocate(8)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putFloat(0)
                .putInt(bytes.length)
                .array());
        out.writeBytes(bytes);
    }
}
