package io.mor.runtime.data;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/** Decodes documents as UTF-8, replaces what is not, and counts it over all documents of a corpus for one warning at the end. */
final class Utf8Decoding {

    private final DataListener listener;
    private long replacements;
    private long documents;
    private String first = "";

    Utf8Decoding(DataListener listener) {
        this.listener = listener;
    }

    String decode(String name, byte[] bytes) {
        String text = new String(bytes, StandardCharsets.UTF_8);
        if (text.indexOf('\uFFFD') >= 0) {
            count(name, malformed(bytes));
        }
        return text;
    }

    private void count(String name, long malformed) {
        if (malformed > 0) {
            if (documents == 0) {
                first = name;
            }
            documents++;
            replacements += malformed;
        }
    }

    /** The text may itself hold U+FFFD, so what was replaced is counted by decoding again. */
    private static long malformed(byte[] bytes) {
        CharsetDecoder decoder = StandardCharsets.UTF_8
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
        ByteBuffer in = ByteBuffer.wrap(bytes);
        CharBuffer out = CharBuffer.allocate(8192);
        long count = 0;
        while (true) {
            CoderResult result = decoder.decode(in, out, true);
            out.clear();
            if (result.isError()) {
                count++;
                in.position(in.position() + result.length());
            } else if (result.isUnderflow()) {
                return count;
            }
        }
    }

    void warn() {
        if (documents > 0) {
            String others = documents == 1 ? "" : " and " + (documents - 1) + " more documents";
            listener.warning(
                    first + others + ": " + replacements
                            + " byte sequences are not UTF-8 and became U+FFFD; convert the text to UTF-8, or leave the file out");
        }
    }
}
