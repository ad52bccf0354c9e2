package io.mor.runtime.binding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class YamlTest {

    private static Object roundTrip(Object value) {
        String yaml = Yaml.write(ConfigNode.of(Map.of("key", value)));
        return Yaml.readMapping(yaml, "dump").toJava().get("key");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                " ",
                "\n",
                "\n\n",
                " \n",
                "\n ",
                "a\n",
                "a\n\n",
                " a",
                "a ",
                "\ta",
                "a: b",
                "a #b",
                "#",
                "-",
                "- a",
                "null",
                "~",
                "true",
                "yes",
                "1",
                "1.5",
                "1e5",
                "0x1F",
                "1_000",
                "'",
                "\"",
                "'\"",
                "*a",
                "&a",
                "!a",
                "|",
                ">",
                "%",
                "@",
                "`",
                "{",
                "[",
                "}",
                "]",
                ",",
                "?",
                "? a",
                ":",
                "=",
                "<<",
                "---",
                "...",
                "a\r\nb",
                "\u0000",
                "\u0007",
                "\u001b",
                "\u007f",
                "\u0085",
                "\u00a0",
                "\u2028",
                "\ufeff",
                "\ud83d\ude00",
                "\ufffd",
                "ä",
                "日本",
                "\\",
                "\\n",
                "C:\\x",
                "12:30:45",
                "2001-01-01",
                "\n !$&',-.3:;?ABCXYZabcxyz"
            })
    void everyTextIsReadBackAsItWas(String text) {
        assertEquals(text, roundTrip(text));
        assertEquals(List.of(text, text), roundTrip(List.of(text, text)));
        assertEquals(Map.of("x" + text, text), roundTrip(Map.of("x" + text, text)));
    }

    @Test
    void randomTextsAreReadBackAsTheyWere() {
        Random random = new Random(20250);
        String alphabet = "ab \n\t\r:#-'\"\\{}[],&*!|>%@`?=0.1e~\u0085\u00e9\u2028\u65e5";
        for (int i = 0; i < 20_000; i++) {
            StringBuilder text = new StringBuilder();
            int length = random.nextInt(9);
            for (int j = 0; j < length; j++) {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            assertEquals(text.toString(), roundTrip(text.toString()));
        }
    }

    @Test
    void longTextsAreReadBackAsTheyWere() {
        StringBuilder text = new StringBuilder();
        for (int c = 1; c < 0xd800; c++) {
            text.append((char) c);
        }
        assertEquals(text.toString(), roundTrip(text.toString()));
        assertEquals("word ".repeat(1000), roundTrip("word ".repeat(1000)));
    }

    @Test
    void everyNumberIsReadBackAsItWas() {
        List<Object> numbers =
                new ArrayList<>(List.of(0, -1, Integer.MAX_VALUE, Long.MIN_VALUE, Long.MAX_VALUE, true, false));
        Random random = new Random(7);
        numbers.addAll(List.of(0.0, -0.5, 1e-5, 1e10, 1e300, Double.MIN_VALUE, Double.MAX_VALUE));
        for (int i = 0; i < 1000; i++) {
            double number = Double.longBitsToDouble(random.nextLong());
            if (Double.isFinite(number)) {
                numbers.add(number);
            }
        }
        for (Object number : numbers) {
            assertEquals(number, roundTrip(number));
        }
    }

    @Test
    void linesAreThoseOfTheKeys() {
        ConfigNode.Mapping tree = Yaml.readMapping("# comment\na:\n  b: 1\n  c:\n    - x\n    - y\n", "f");

        assertEquals(new Origin("f", 2), tree.get("a").orElseThrow().origin());
        assertEquals(
                new Origin("f", 3), TreePath.of("a.b").get(tree).orElseThrow().origin());
        assertEquals(
                new Origin("f", 6),
                TreePath.of("a.c[1]").get(tree).orElseThrow().origin());
    }

    @Test
    void mergingReplacesInPlaceAndAppends() {
        Map<String, Object> expected = new LinkedHashMap<>();
        expected.put("a", Map.of("b", 3, "c", 2));
        expected.put("d", List.of(9));
        expected.put("e", 5);
        ConfigNode.Mapping below = Yaml.readMapping("a: {b: 1, c: 2}\nd: [1, 2]", "below");
        ConfigNode.Mapping merged =
                Yaml.readMapping("e: 5\nd: [9]\na: {b: 3}", "above").over(below);

        assertEquals(expected, merged.toJava());
        assertTrue(Yaml.write(merged).startsWith("a:\n  b: 3\n  c: 2\nd: [9]\n"), Yaml.write(merged));
    }
}
