package io.mor.tokenizer.huggingface;

import com.google.gson.Gson;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Small tokenizer files. */
final class TestFiles {

    private TestFiles() {}

    /** GPT-2's table as its authors build it: printable bytes as they are, the others from U+0100 in the order they are met. */
    static char[] byteAlphabet() {
        char[] alphabet = new char[256];
        int next = 0x100;
        for (int b = 0; b < 256; b++) {
            boolean printable = b >= '!' && b <= '~' || b >= '¡' && b <= '¬' || b >= '®' && b <= 'ÿ';
            alphabet[b] = (char) (printable ? b : next++);
        }
        return alphabet;
    }

    /** A byte-level BPE file: ids 0 to 255 are the bytes, then the merges in order, then the special tokens. */
    static Path byteLevel(Path file, List<String> merges, List<String> special) {
        Map<String, Integer> vocabulary = new LinkedHashMap<>();
        for (char character : byteAlphabet()) {
            vocabulary.put(Character.toString(character), vocabulary.size());
        }
        for (String merge : merges) {
            vocabulary.put(merge.replace(" ", ""), vocabulary.size());
        }
        Map<String, Object> model = new LinkedHashMap<>();
        model.put("type", "BPE");
        model.put("vocab", vocabulary);
        model.put("merges", merges);
        Map<String, Object> byteLevel =
                Map.of("type", "ByteLevel", "add_prefix_space", false, "trim_offsets", true, "use_regex", true);
        Map<String, Object> root = root(model, added(vocabulary.size(), special), byteLevel);
        root.put("pre_tokenizer", byteLevel);
        return write(file, root);
    }

    /** A BPE file with byte fallback as SentencePiece models have it: unknown, begin and end, the bytes, then pieces; begins every text. */
    static Path byteFallback(Path file, List<String> pieces) {
        Map<String, Integer> vocabulary = new LinkedHashMap<>();
        for (String special : List.of("<unk>", "<s>", "</s>")) {
            vocabulary.put(special, vocabulary.size());
        }
        for (int b = 0; b < 256; b++) {
            vocabulary.put(String.format("<0x%02X>", b), vocabulary.size());
        }
        for (String piece : pieces) {
            vocabulary.put(piece, vocabulary.size());
        }
        Map<String, Object> model = new LinkedHashMap<>();
        model.put("type", "BPE");
        model.put("unk_token", "<unk>");
        model.put("fuse_unk", true);
        model.put("byte_fallback", true);
        model.put("vocab", vocabulary);
        model.put("merges", List.of());
        Map<String, Object> decoder = Map.of(
                "type",
                "Sequence",
                "decoders",
                List.of(
                        Map.of("type", "Replace", "pattern", Map.of("String", "▁"), "content", " "),
                        Map.of("type", "ByteFallback"),
                        Map.of("type", "Fuse")));
        Map<String, Object> root = root(model, added(0, List.of("<unk>", "<s>", "</s>")), decoder);
        root.put("normalizer", Map.of("type", "Replace", "pattern", Map.of("String", " "), "content", "▁"));
        Map<String, Object> begin = Map.of("SpecialToken", Map.of("id", "<s>", "type_id", 0));
        Map<String, Object> text = Map.of("Sequence", Map.of("id", "A", "type_id", 0));
        root.put(
                "post_processor",
                Map.of(
                        "type", "TemplateProcessing",
                        "single", List.of(begin, text),
                        "pair", List.of(begin, text),
                        "special_tokens",
                                Map.of("<s>", Map.of("id", "<s>", "ids", List.of(1), "tokens", List.of("<s>")))));
        return write(file, root);
    }

    private static Map<String, Object> root(
            Map<String, Object> model, List<Object> added, Map<String, Object> decoder) {
        Map<String, Object> root = new LinkedHashMap<>();
        root.put("version", "1.0");
        root.put("added_tokens", added);
        root.put("decoder", decoder);
        root.put("model", model);
        return root;
    }

    private static List<Object> added(int firstId, List<String> special) {
        List<Object> added = new ArrayList<>();
        for (String token : special) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("id", firstId + added.size());
            entry.put("content", token);
            for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
                entry.put(flag, false);
            }
            entry.put("special", true);
            added.add(entry);
        }
        return added;
    }

    private static Path write(Path file, Map<String, Object> root) {
        try {
            return Files.writeString(file, new Gson().toJson(root));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
