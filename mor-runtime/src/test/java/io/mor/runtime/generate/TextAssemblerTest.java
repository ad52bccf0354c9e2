package io.mor.runtime.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TextAssemblerTest {

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Test
    void charactersSpreadOverTokensAppearWhenTheyAreComplete() {
        TextAssembler assembler = new TextAssembler(List.of());
        StringBuilder seen = new StringBuilder();
        for (byte one : bytes("aé€𝄞b")) {
            String piece = assembler.add(new byte[] {one});
            assertFalse(piece.contains("\uFFFD"), "half a character was shown");
            seen.append(piece);
        }
        assertEquals("aé€𝄞b", seen.toString());
        assertEquals("", assembler.finish());
    }

    @Test
    void brokenBytesBecomeReplacementCharacters() {
        TextAssembler assembler = new TextAssembler(List.of());
        assertEquals(
                "a", assembler.add(new byte[] {'a', (byte) 0xE2, (byte) 0x82}), "the beginning of a character waits");
        assertEquals("\uFFFDb", assembler.add(new byte[] {'b'}), "and is replaced when it cannot be one any more");
        assertEquals("", assembler.add(new byte[] {(byte) 0xF0}));
        assertEquals("\uFFFD", assembler.finish());
    }

    @Test
    void stopStringsAcrossTokensCutTheTextBeforeThem() {
        TextAssembler assembler = new TextAssembler(List.of("END", "\n\n"));
        assertEquals("x", assembler.add(bytes("xE")));
        assertEquals("", assembler.add(bytes("N")));
        assertEquals("ENO", assembler.add(bytes("O")), "not a stop string after all");
        assertEquals("", assembler.add(bytes("\n")));
        assertFalse(assembler.isStopped());
        assertEquals("", assembler.add(bytes("\nrest")));
        assertTrue(assembler.isStopped());
        assertEquals("", assembler.finish(), "what follows a stop string is never shown");
    }

    @Test
    void theEarliestOfSeveralStopStringsCounts() {
        TextAssembler assembler = new TextAssembler(List.of("cd", "bcde"));
        assertEquals("a", assembler.add(bytes("ab")));
        assertEquals("", assembler.add(bytes("c")), "the text is held back for both");
        assertEquals("b", assembler.add(bytes("d")));
        assertTrue(assembler.isStopped());
    }

    @Test
    void overlappingBeginningsAreFound() {
        TextAssembler assembler = new TextAssembler(List.of("aab"));
        StringBuilder seen = new StringBuilder();
        for (byte one : bytes("xaaab")) {
            seen.append(assembler.add(new byte[] {one}));
        }
        assertEquals("xa", seen.toString());
        assertTrue(assembler.isStopped());
    }

    @Test
    void heldBackTextComesAtTheEnd() {
        TextAssembler assembler = new TextAssembler(List.of("stop"));
        assertEquals("a", assembler.add(bytes("asto")));
        assertEquals("sto", assembler.finish());
    }

    @Test
    void anyCutOfAnyTextGivesTheTextUpToTheStop() {
        Random random = new Random(42);
        for (int round = 0; round < 2000; round++) {
            StringBuilder text = new StringBuilder();
            for (int i = random.nextInt(20); i > 0; i--) {
                text.append(new String[] {"a", "b", "é", "𝄞"}[random.nextInt(4)]);
            }
            String stop = random.nextBoolean() ? "aba" : "é𝄞";
            TextAssembler assembler = new TextAssembler(List.of(stop));
            StringBuilder seen = new StringBuilder();
            byte[] all = bytes(text.toString());
            for (int from = 0; from < all.length && !assembler.isStopped(); ) {
                int to = Math.min(all.length, from + 1 + random.nextInt(3));
                seen.append(assembler.add(Arrays.copyOfRange(all, from, to)));
                from = to;
            }
            seen.append(assembler.finish());
            int at = text.indexOf(stop);
            assertEquals(at < 0 ? text.toString() : text.substring(0, at), seen.toString(), "round " + round);
        }
    }
}
