package io.mor.runtime.generate;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * Turns the bytes of tokens into text as they come. A character may be spread over several tokens, and so may a stop string: what could still
 * become either is held back. Bytes that are no UTF-8 become U+FFFD. One thread.
 */
final class TextAssembler {

    private final List<String> stopStrings;
    private final CharsetDecoder decoder = StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPLACE)
            .onUnmappableCharacter(CodingErrorAction.REPLACE);
    private byte[] undecoded = new byte[0];
    private final StringBuilder held = new StringBuilder();
    private boolean stopped;

    TextAssembler(List<String> stopStrings) {
        this.stopStrings = List.copyOf(stopStrings);
    }

    /** Takes a token's bytes and returns the text that is safe to show by now. */
    String add(byte[] bytes) {
        decode(bytes, false);
        int stop = firstStop();
        if (stop >= 0) {
            stopped = true;
            return take(stop);
        }
        return take(held.length() - longestBeginning());
    }

    /** Whether a stop string has come; nothing may be added any more. */
    boolean isStopped() {
        return stopped;
    }

    /** The text that was still held back, at the end. */
    String finish() {
        if (stopped) {
            return "";
        }
        decode(new byte[0], true);
        return take(held.length());
    }

    private void decode(byte[] bytes, boolean end) {
        ByteBuffer in = ByteBuffer.allocate(undecoded.length + bytes.length)
                .put(undecoded)
                .put(bytes)
                .flip();
        CharBuffer out = CharBuffer.allocate(in.remaining() + 4); // UTF-8 never has more chars than bytes
        decoder.decode(in, out, end);
        if (end) {
            decoder.flush(out);
        }
        undecoded = new byte[in.remaining()];
        in.get(undecoded);
        held.append(out.flip());
    }

    private String take(int length) {
        String text = held.substring(0, length);
        held.delete(0, stopped ? held.length() : length);
        return text;
    }

    private int firstStop() {
        int first = -1;
        for (String stop : stopStrings) {
            int at = held.indexOf(stop);
            first = at >= 0 && (first < 0 || at < first) ? at : first;
        }
        return first;
    }

    /** Length of the longest end of the held text with which a stop string begins. */
    private int longestBeginning() {
        int longest = 0;
        for (String stop : stopStrings) {
            for (int length = Math.min(stop.length() - 1, held.length()); length > longest; length--) {
                if (stop.startsWith(held.substring(held.length() - length))) {
                    longest = length;
                }
            }
        }
        return longest;
    }
}
