package io.mor.runtime.generate;

import io.mor.runtime.UsageException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;

/**
 * What to generate and how. The result depends on this and the model alone, not on what else is in the batch.
 *
 * @param prompt token ids to go on from; empty lets the tokenizer's end-of-text id stand for the start of a document
 * @param maxTokens the most new tokens; 0 for as many as fit the model's context
 * @param temperature divides the logits; 0 takes the most likely token, the lowest id of equals
 * @param topK draws among the so many most likely tokens only, the lower id of equals first; 0 for all
 * @param topP draws among the fewest most likely tokens (after {@code topK}) whose probabilities reach this sum only, in (0, 1]; 1 for all
 * @param seed of the draws
 * @param stopIds ids that end the generation
 * @param stopStrings texts that end the generation; they need a tokenizer
 */
public record GenerationRequest(
        List<Integer> prompt,
        int maxTokens,
        double temperature,
        int topK,
        double topP,
        long seed,
        Set<Integer> stopIds,
        List<String> stopStrings) {

    /**
     * Copies the collections and checks what does not depend on the model.
     *
     * @throws UsageException naming the value that cannot be
     */
    public GenerationRequest {
        prompt = List.copyOf(prompt);
        stopIds = Set.copyOf(stopIds);
        stopStrings = List.copyOf(stopStrings);
        if (maxTokens < 0) {
            throw new UsageException(
                    "max-tokens: " + maxTokens + " is negative; give a number of tokens, or 0 to fill the context");
        }
        if (!(temperature >= 0) || temperature == Double.POSITIVE_INFINITY) {
            throw new UsageException(
                    "temperature: " + temperature + " is not 0 (the most likely token) or a positive number");
        }
        if (topK < 0) {
            throw new UsageException(
                    "top-k: " + topK + " is negative; give a number of tokens to draw among, or 0 for all");
        }
        if (!(topP > 0 && topP <= 1)) {
            throw new UsageException("top-p: " + topP + " is not a probability above 0 and at most 1");
        }
        if (stopStrings.contains("")) {
            throw new UsageException("stop: an empty stop string would end every text before it begins; leave it out");
        }
    }

    /** A greedy request for all that fits; change what is to be different. */
    public static Builder of(int... prompt) {
        return new Builder(prompt);
    }

    /** Whether no numbers are drawn. */
    public boolean isGreedy() {
        return temperature == 0;
    }

    /** Sets the parts of a request one by one. One thread. */
    public static final class Builder {
        private final List<Integer> prompt = new ArrayList<>();
        private int maxTokens;
        private double temperature;
        private int topK;
        private double topP = 1;
        private long seed;
        private final Set<Integer> stopIds = new LinkedHashSet<>();
        private final List<String> stopStrings = new ArrayList<>();

        private Builder(int... ids) {
            for (int id : ids) {
                prompt.add(id);
            }
        }

        /** The most new tokens; 0, the default, fills the context. */
        public Builder maxTokens(int tokens) {
            this.maxTokens = tokens;
            return this;
        }

        /** Divides the logits; 0, the default, is greedy. */
        public Builder temperature(double value) {
            this.temperature = value;
            return this;
        }

        /** Draws among the so many most likely tokens; 0, the default, for all. */
        public Builder topK(int tokens) {
            this.topK = tokens;
            return this;
        }

        /** Draws among the most likely tokens that together have this probability; 1, the default, for all. */
        public Builder topP(double probability) {
            this.topP = probability;
            return this;
        }

        /** The seed of the draws; 0 by default. */
        public Builder seed(long value) {
            this.seed = value;
            return this;
        }

        /** Adds ids that end the generation. */
        public Builder stopIds(Collection<Integer> ids) {
            stopIds.addAll(ids);
            return this;
        }

        /** Adds texts that end the generation. */
        public Builder stopStrings(String... texts) {
            Stream.of(texts).map(Objects::requireNonNull).forEach(stopStrings::add);
            return this;
        }

        /**
         * The request.
         *
         * @throws UsageException naming the value that cannot be
         */
        public GenerationRequest build() {
            return new GenerationRequest(prompt, maxTokens, temperature, topK, topP, seed, stopIds, stopStrings);
        }
    }
}
