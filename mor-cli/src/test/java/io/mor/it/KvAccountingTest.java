package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.cache.KvCache;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.kvcache.shared.SharedCache;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.Generator;
import io.mor.runtime.generate.GeneratorOptions;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Entries that generation really holds, against the published fractions of a vanilla model's (spec 4.2; spec 11 item 16). */
class KvAccountingTest {

    private static final int BLOCK_LAYERS = 2;

    /** Entries after a prefill of some tokens and the decoding of more, with balanced depths. */
    private static long entries(
            Sharing sharing, int layers, int recursions, KvCache cache, int promptTokens, int newTokens) {
        Routing balanced = new Routing("balanced", PositionRouter::new, Optional.empty());
        try (TinyModel tiny = TinyModel.routed(sharing, layers, recursions, cache, balanced);
                Generator generator =
                        new Generator(tiny.model, tiny.weights, Optional.empty(), GeneratorOptions.forSequences(1))) {
            int[] prompt = IntStream.range(0, promptTokens).toArray();
            GenerationResult result = generator.generate(
                    GenerationRequest.of(prompt).maxTokens(newTokens + 1).build());
            assertEquals(promptTokens + newTokens, result.cachedTokens());
            return result.kvEntries();
        }
    }

    @ParameterizedTest(name = "Nr = {0}, {1} + {2} tokens")
    @CsvSource({"2,20,17", "3,20,17", "4,20,17", "3,37,0", "3,1,36", "2,3,0", "4,1,1"})
    void measuredEntriesAreThePublishedFractionsWithinATokenPerRecursion(int recursions, int prompt, int more) {
        int tokens = prompt + more;
        double slack = recursions * BLOCK_LAYERS; // a token per recursion, in each layer of the block
        double vanillaBlock = (double) tokens * BLOCK_LAYERS * recursions;
        int cycle = BLOCK_LAYERS * recursions;
        assertEquals(
                vanillaBlock * (recursions + 1) / (2.0 * recursions),
                entries(Sharing.CYCLE, cycle, recursions, new RecursionWiseCache(), prompt, more),
                slack);
        assertEquals(
                vanillaBlock / recursions,
                entries(Sharing.CYCLE, cycle, recursions, new SharedCache(), prompt, more),
                slack);

        double vanilla = (double) tokens * (cycle + 2);
        double cacheFraction = (2 + BLOCK_LAYERS * (recursions + 1) / 2.0) / (cycle + 2);
        double shareFraction = (2.0 + BLOCK_LAYERS) / (cycle + 2);
        assertEquals(
                vanilla * cacheFraction,
                entries(Sharing.MIDDLE_CYCLE, cycle + 2, recursions, new RecursionWiseCache(), prompt, more),
                slack,
                "own layers included");
        assertEquals(
                vanilla * shareFraction,
                entries(Sharing.MIDDLE_CYCLE, cycle + 2, recursions, new SharedCache(), prompt, more),
                slack);
    }
}
