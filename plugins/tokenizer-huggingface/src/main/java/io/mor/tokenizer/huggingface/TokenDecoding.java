package io.mor.tokenizer.huggingface;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Set;

/** How the text of a token in a {@code tokenizer.json} becomes bytes. Only ways in which each token stands for itself are exact. */
enum TokenDecoding {

    /** Each character of a token stands for one byte (GPT-2 and most models since). */
    BYTE_LEVEL {
        @Override
        byte[] bytes(String token) {
            byte[] bytes = new byte[token.length()];
            for (int i = 0; i < bytes.length; i++) {
                int value = byteOf(token.charAt(i));
                if (value < 0) { // not of the byte alphabet: a token that was added as it is
                    return token.getBytes(StandardCharsets.UTF_8);
                }
                bytes[i] = (byte) value;
            }
            return bytes;
        }
    },

    /** SentencePiece: ▁ is a space, tokens like {@code <0x0A>} are bytes. */
    SENTENCE_PIECE {
        @Override
        byte[] bytes(String token) {
            if (token.length() == 6 && token.startsWith("<0x") && token.endsWith(">")) {
                try {
                    return new byte[] {(byte) Integer.parseInt(token, 3, 5, 16)};
                } catch (NumberFormatException e) {
                    return token.getBytes(StandardCharsets.UTF_8); // text that only looks like it
                }
            }
            return token.replace('\u2581', ' ').getBytes(StandardCharsets.UTF_8);
        }
    },

    /** All others, WordPiece for one: the library decodes a sequence as a whole. */
    LIBRARY {
        @Override
        byte[] bytes(String token) {
            return token.getBytes(StandardCharsets.UTF_8);
        }
    };

    /** The bytes of a token. */
    abstract byte[] bytes(String token);

    static TokenDecoding of(JsonElement decoder) {
        Set<String> types = new HashSet<>();
        collect(decoder, types);
        if (types.contains("ByteLevel")) {
            return BYTE_LEVEL;
        }
        return types.contains("ByteFallback") || types.contains("Metaspace") ? SENTENCE_PIECE : LIBRARY;
    }

    private static void collect(JsonElement element, Set<String> types) {
        switch (element) {
            case JsonObject object -> {
                if (object.has("type")) {
                    types.add(object.get("type").getAsString());
                }
                if (object.has("decoders")) {
                    collect(object.get("decoders"), types);
                }
            }
            case JsonArray array -> array.forEach(each -> collect(each, types));
            default -> {} // no decoder
        }
    }

    /**
     * GPT-2's alphabet: printable bytes of Latin-1 are their own character, the other 68 follow in order from U+0100.
     *
     * @return 0 to 255, or -1
     */
    static int byteOf(char character) {
        if (isPrintable(character)) {
            return character;
        }
        int index = character - 0x100;
        if (index < 0 || index > 67) {
            return -1;
        }
        if (index <= 32) {
            return index; // 00 to 20
        }
        return index <= 66 ? 0x7f + index - 33 : 0xad; // 7f to a0, then ad
    }

    private static boolean isPrintable(int value) {
        return value >= '!' && value <= '~' || value >= 0xa1 && value <= 0xac || value >= 0xae && value <= 0xff;
    }
}
