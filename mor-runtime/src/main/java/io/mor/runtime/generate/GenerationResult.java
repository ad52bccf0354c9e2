package io.mor.runtime.generate;

import java.util.List;
import java.util.Objects;

/**
 * What became of a request.
 *
 * @param ids the new ids, without the prompt; a stop id is the last
 * @param text their text without stop id and stop string; empty without a tokenizer
 * @param ending why it ended
 * @param depths for each new id how many recursions were run to produce it: the depth of the row whose logits it was drawn from, which is
 *     the token before it. So the depth of new id i as an input is {@code depths.get(i + 1)}, and the last id was never an input. For a model
 *     without recursions all 1
 * @param promptDepths for each prompt id how many recursions it ran in the prefill; 1 where the prefill left out the others (spec 4.1)
 * @param prefillSeconds from admission to the first logits; prompts admitted together share it
 * @param decodingSeconds from the first logits to the end
 * @param kvEntries keys and values held at the end; one entry is one token's keys and values in one layer at one recursion
 * @param kvBytes their bytes
 */
public record GenerationResult(
        List<Integer> ids,
        String text,
        Ending ending,
        List<Integer> depths,
        List<Integer> promptDepths,
        double prefillSeconds,
        double decodingSeconds,
        long kvEntries,
        long kvBytes) {

    /** Copies the lists and checks that every id has a depth. */
    public GenerationResult {
        ids = List.copyOf(ids);
        depths = List.copyOf(depths);
        promptDepths = List.copyOf(promptDepths);
        Objects.requireNonNull(text, "text is null");
        Objects.requireNonNull(ending, "ending is null");
        if (depths.size() != ids.size()) {
            throw new IllegalArgumentException(depths.size() + " depths for " + ids.size() + " ids");
        }
    }

    /** Mean of {@link #depths}; 0 without new ids. */
    public double meanDepth() {
        return depths.stream().mapToInt(Integer::intValue).average().orElse(0);
    }

    /** Tokens whose keys and values are held: the prompt and all new ids but the last. */
    public int cachedTokens() {
        return promptDepths.isEmpty() ? 0 : promptDepths.size() + Math.max(0, ids.size() - 1);
    }

    /** Bytes of keys and values per token held; 0 if none is. */
    public double kvBytesPerToken() {
        return cachedTokens() == 0 ? 0 : (double) kvBytes / cachedTokens();
    }

    /** Prompt tokens per second; 0 if nothing was measured. */
    public double prefillTokensPerSecond() {
        return prefillSeconds > 0 ? promptDepths.size() / prefillSeconds : 0;
    }

    /** Tokens per second of decoding, the first left out since it comes from the prefill; 0 if there is no other. */
    public double decodingTokensPerSecond() {
        return decodingSeconds > 0 && ids.size() > 1 ? (ids.size() - 1) / decodingSeconds : 0;
    }
}
