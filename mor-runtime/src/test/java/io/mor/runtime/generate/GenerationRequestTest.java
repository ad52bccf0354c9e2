package io.mor.runtime.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.UsageException;
import java.util.List;
import org.junit.jupiter.api.Test;

class GenerationRequestTest {

    private static void assertRefused(String expected, GenerationRequest.Builder builder) {
        UsageException refusal = assertThrows(UsageException.class, builder::build);
        assertTrue(refusal.getMessage().contains(expected), refusal.getMessage());
    }

    @Test
    void valuesOutOfRangeAreRefusedByName() {
        assertRefused("max-tokens: -1", GenerationRequest.of(1).maxTokens(-1));
        assertRefused("temperature: -0.5", GenerationRequest.of(1).temperature(-0.5));
        assertRefused("temperature: NaN", GenerationRequest.of(1).temperature(Double.NaN));
        assertRefused("temperature: Infinity", GenerationRequest.of(1).temperature(Double.POSITIVE_INFINITY));
        assertRefused("top-k: -3", GenerationRequest.of(1).topK(-3));
        assertRefused("top-p: 0.0", GenerationRequest.of(1).topP(0));
        assertRefused("top-p: 1.5", GenerationRequest.of(1).topP(1.5));
        assertRefused("top-p: NaN", GenerationRequest.of(1).topP(Double.NaN));
        assertRefused("stop:", GenerationRequest.of(1).stopStrings("a", ""));
    }

    @Test
    void theDefaultIsGreedyWithoutLimit() {
        GenerationRequest request =
                GenerationRequest.of(3, 4).stopIds(List.of(2)).build();
        assertTrue(request.isGreedy());
        assertEquals(List.of(3, 4), request.prompt());
        assertEquals(0, request.maxTokens());
        assertEquals(1, request.topP());
    }
}
