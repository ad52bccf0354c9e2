package io.mor.runtime.generate;

import io.mor.api.data.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A request on its way: its slot, its new ids, its text and its clock. One thread. */
final class RunningSequence {

    private final int number;
    private final GenerationRequest request;
    private final List<Integer> prompt;
    private final int limit;
    private final Optional<Tokenizer> tokenizer;
    private final TokenSampler sampler;
    private final TextAssembler assembler;
    private final List<Integer> ids = new ArrayList<>();
    private final List<Integer> depths = new ArrayList<>();
    private final List<Integer> promptDepths = new ArrayList<>();
    private final StringBuilder text = new StringBuilder();
    private Optional<Ending> ending = Optional.empty();
    private Optional<GenerationException> failure = Optional.empty();
    private int slot = -1;
    private long admitted;
    private long prefilled;

    /**
     * A sequence.
     *
     * @param number of its request in the batch
     * @param prompt what it goes on from, not empty
     * @param limit the most new tokens that are allowed and fit
     */
    RunningSequence(
            int number, GenerationRequest request, List<Integer> prompt, int limit, Optional<Tokenizer> tokenizer) {
        this.number = number;
        this.request = request;
        this.prompt = prompt;
        this.limit = limit;
        this.tokenizer = tokenizer;
        this.sampler = new TokenSampler(request);
        this.assembler = new TextAssembler(request.stopStrings());
    }

    int number() {
        return number;
    }

    List<Integer> prompt() {
        return prompt;
    }

    boolean isGreedy() {
        return request.isGreedy();
    }

    int slot() {
        return slot;
    }

    boolean hasSlot() {
        return slot >= 0;
    }

    void admit(int inSlot) {
        slot = inSlot;
        admitted = System.nanoTime();
        prefilled = admitted;
    }

    void prefilled() {
        prefilled = System.nanoTime();
    }

    void promptDepth(int depth) {
        promptDepths.add(depth);
    }

    /** The id that is to be fed next. */
    int lastId() {
        return ids.getLast();
    }

    /** The position of {@link #lastId}. */
    int lastPosition() {
        return prompt.size() + ids.size() - 1;
    }

    boolean hasEnded() {
        return ending.isPresent();
    }

    int sample(double[] logits) {
        return sampler.sample(logits, ids.size());
    }

    /** Ends it without a result. */
    void fail(GenerationException with) {
        failure = Optional.of(with);
    }

    Optional<GenerationException> failure() {
        return failure;
    }

    void cancel() {
        ending = Optional.of(Ending.CANCELLED);
    }

    /** Takes the next id, decides whether it is the last and says what of the text can be shown. */
    GeneratedToken accept(int id, int depth) {
        ids.add(id);
        depths.add(depth);
        String piece = "";
        if (request.stopIds().contains(id)) {
            ending = Optional.of(Ending.STOP_TOKEN);
        } else {
            piece = piece(id);
            if (assembler.isStopped()) {
                ending = Optional.of(Ending.STOP_STRING);
            } else if (ids.size() == limit) {
                ending = Optional.of(ids.size() == request.maxTokens() ? Ending.MAX_TOKENS : Ending.CONTEXT_FULL);
            }
        }
        text.append(piece);
        if (hasEnded()) {
            String rest = assembler.finish();
            text.append(rest);
            piece += rest;
        }
        return new GeneratedToken(number, ids.size() - 1, id, piece, depth);
    }

    private String piece(int id) {
        // A model may have more ids than its tokenizer, for a rounder vocabulary; these stand for nothing.
        return tokenizer.isPresent() && id < tokenizer.get().vocabularySize()
                ? assembler.add(tokenizer.get().decode(new int[] {id}))
                : "";
    }

    GenerationResult result(long kvEntries, long kvBytes) {
        if (ending.orElseThrow() == Ending.CANCELLED) {
            text.append(assembler.finish());
        }
        long now = System.nanoTime();
        return new GenerationResult(
                ids,
                text.toString(),
                ending.orElseThrow(),
                depths,
                promptDepths,
                hasSlot() ? (prefilled - admitted) * 1e-9 : 0,
                hasSlot() ? (now - prefilled) * 1e-9 : 0,
                kvEntries,
                kvBytes);
    }
}
