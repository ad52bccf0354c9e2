package io.mor.runtime.importer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class Llama2cFileTest {

    private static final int HIDDEN = 8;
    private static final int FFN = 5;
    private static final int LAYERS = 2;
    private static final int HEADS = 2;
    private static final int KV_HEADS = 1;
    private static final int VOCABULARY = 3;
    private static final int CONTEXT = 7;

    @TempDir
    Path folder;

    /** A file whose k-th float is k, so that every weight tells where it came from. */
    private Path numbered(boolean tied) throws IOException {
        int kvWidth = HIDDEN / HEADS * KV_HEADS;
        int layer = 2 * HIDDEN + 2 * HIDDEN * HIDDEN + 2 * kvWidth * HIDDEN + 3 * FFN * HIDDEN;
        int floats = VOCABULARY * HIDDEN
                + LAYERS * layer
                + HIDDEN
                + CONTEXT * HIDDEN / HEADS
                + (tied ? 0 : VOCABULARY * HIDDEN);
        ByteBuffer bytes = ByteBuffer.allocate(28 + 4 * floats).order(ByteOrder.LITTLE_ENDIAN);
        for (int size : new int[] {HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, tied ? VOCABULARY : -VOCABULARY, CONTEXT}) {
            bytes.putInt(size);
        }
        for (int k = 0; k < floats; k++) {
            bytes.putFloat(k);
        }
        return Files.write(folder.resolve(tied ? "tied.bin" : "untied.bin"), bytes.array());
    }

    private static float[] range(int from, int length) {
        float[] values = new float[length];
        for (int i = 0; i < length; i++) {
            values[i] = from + i;
        }
        return values;
    }

    @Test
    void everyWeightComesFromItsPlace() throws IOException {
        try (Llama2cFile file = Llama2cFile.open(numbered(true))) {
            assertEquals(
                    new LlamaShape(HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, VOCABULARY, CONTEXT, true, 1e-5, 1e4),
                    file.shape());
            Map<String, ImportedWeight> weights = file.weights();
            assertEquals(2 + 9 * LAYERS, weights.size());
            assertFalse(weights.containsKey("lm_head.weight"));
            int at = 0;
            at = assertStack(weights, "embed.weight", List.of(VOCABULARY, HIDDEN), at, 1);
            at = assertStack(weights, "layers.%d.input_layernorm.weight", List.of(HIDDEN), at, LAYERS);
            at += LAYERS * HIDDEN * HIDDEN; // q and k: their own test
            at += LAYERS * 4 * HIDDEN;
            at = assertStack(weights, "layers.%d.self_attn.v_proj.weight", List.of(4, HIDDEN), at, LAYERS);
            at = assertStack(weights, "layers.%d.self_attn.o_proj.weight", List.of(HIDDEN, HIDDEN), at, LAYERS);
            at = assertStack(weights, "layers.%d.post_attention_layernorm.weight", List.of(HIDDEN), at, LAYERS);
            at = assertStack(weights, "layers.%d.mlp.gate_proj.weight", List.of(FFN, HIDDEN), at, LAYERS);
            at = assertStack(weights, "layers.%d.mlp.down_proj.weight", List.of(HIDDEN, FFN), at, LAYERS);
            at = assertStack(weights, "layers.%d.mlp.up_proj.weight", List.of(FFN, HIDDEN), at, LAYERS);
            assertStack(weights, "norm.weight", List.of(HIDDEN), at, 1);
        }
    }

    private static int assertStack(
            Map<String, ImportedWeight> weights, String name, List<Integer> shape, int at, int layers) {
        int count = shape.stream().reduce(1, (a, b) -> a * b);
        for (int layer = 0; layer < layers; layer++) {
            ImportedWeight weight = weights.get(String.format(name, layer));
            assertEquals(shape, weight.shape(), name);
            assertArrayEquals(range(at + layer * count, count), weight.values(), name);
        }
        return at + layers * count;
    }

    @Test
    void rowsOfQueriesAndKeysGoFromPairsToHalves() throws IOException {
        try (Llama2cFile file = Llama2cFile.open(numbered(true))) {
            int q = VOCABULARY * HIDDEN + LAYERS * HIDDEN + HIDDEN * HIDDEN; // of layer 1
            float[] rows = file.weight("layers.1.self_attn.q_proj.weight").values();
            int[] order = {0, 2, 1, 3, 4, 6, 5, 7};
            for (int row = 0; row < HIDDEN; row++) {
                assertArrayEquals(
                        range(q + order[row] * HIDDEN, HIDDEN),
                        Arrays.copyOfRange(rows, row * HIDDEN, (row + 1) * HIDDEN),
                        "row " + row);
            }
            int k = VOCABULARY * HIDDEN + LAYERS * HIDDEN + LAYERS * HIDDEN * HIDDEN;
            float[] keys = file.weight("layers.0.self_attn.k_proj.weight").values();
            assertArrayEquals(range(k + 2 * HIDDEN, HIDDEN), Arrays.copyOfRange(keys, HIDDEN, 2 * HIDDEN));
        }
    }

    @Test
    void aNegativeVocabularyMeansAHeadOfItsOwn() throws IOException {
        Path path = numbered(false);
        try (Llama2cFile file = Llama2cFile.open(path)) {
            assertFalse(file.shape().tied());
            assertEquals(VOCABULARY, file.shape().vocabulary());
            int floats = (int) ((Files.size(path) - 28) / 4);
            assertArrayEquals(
                    range(floats - VOCABULARY * HIDDEN, VOCABULARY * HIDDEN),
                    file.weight("lm_head.weight").values());
            assertTrue(assertThrows(IllegalArgumentException.class, () -> file.weight("x"))
                    .getMessage()
                    .contains("no weight 'x'"));
        }
    }

    @Test
    void wrongFilesAreRefusedByName() throws IOException {
        byte[] whole = Files.readAllBytes(numbered(true));
        assertRefused(Arrays.copyOf(whole, 27), "truncated");
        assertRefused(Arrays.copyOf(whole, whole.length - 4), "truncated");
        assertRefused(Arrays.copyOf(whole, whole.length + 4), "not a version 0 file");
        byte[] heads = whole.clone();
        heads[12] = 3;
        assertRefused(heads, "impossible");
        byte[] newer = whole.clone();
        System.arraycopy(new byte[] {0x32, 0x34, 0x6b, 0x61, 2, 0, 0, 0}, 0, newer, 0, 8);
        assertRefused(newer, "version 2");
        assertThrows(
                IOException.class,
                () -> Llama2cFile.open(folder.resolve("missing.bin")).close());
    }

    private void assertRefused(byte[] bytes, String part) throws IOException {
        Path file = Files.write(folder.resolve("bad.bin"), bytes);
        IOException e =
                assertThrows(IOException.class, () -> Llama2cFile.open(file).close());
        assertTrue(e.getMessage().contains(part) && e.getMessage().contains("bad.bin"), e.getMessage());
    }

    @Test
    void stories260KGivesItsReferenceTokensAndLogits() throws IOException {
        Path data = Path.of(System.getProperty("mor.project.root"), "../shared/data/stories260K");
        assumeTrue(Files.exists(data), "skipped: ../shared/data/stories260K is not there");
        JsonNode reference = new JsonMapper().readTree(Files.readAllBytes(data.resolve("reference.json")));
        JsonNode tokens = reference.get("greedy_tokens");
        double worst = 0;
        double largest = 0;
        try (Llama2cFile file = Llama2cFile.open(data.resolve("stories260K.bin"))) {
            ScalarLlama model = new ScalarLlama(file.shape(), file.weights());
            for (int position = 0; position + 1 < tokens.size(); position++) {
                double[] logits = model.next(tokens.get(position).intValue());
                int best = 0;
                for (int id = 1; id < logits.length; id++) {
                    best = logits[id] > logits[best] ? id : best;
                }
                assertEquals(tokens.get(position + 1).intValue(), best, "after position " + position);
                JsonNode expected = reference.get("logits_float64").path(Integer.toString(position));
                for (int id = 0; id < expected.size(); id++) {
                    worst = Math.max(worst, Math.abs(expected.get(id).doubleValue() - logits[id]));
                    largest = Math.max(largest, Math.abs(logits[id]));
                }
            }
        }
        assertTrue(largest > 1, "no reference logits were compared");
        assertTrue(worst < 1e-6, "largest difference of a logit " + worst + "; the reference is printed to 7 decimals");
    }
}
