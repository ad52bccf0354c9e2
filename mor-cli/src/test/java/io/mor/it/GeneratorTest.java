package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.cache.KvCache;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.kvcache.shared.HybridCache;
import io.mor.kvcache.shared.SharedCache;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.data.ByteTokenizer;
import io.mor.runtime.generate.Ending;
import io.mor.runtime.generate.GeneratedToken;
import io.mor.runtime.generate.GenerationException;
import io.mor.runtime.generate.GenerationListener;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.Generator;
import io.mor.runtime.generate.GeneratorOptions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Generation on the reference backend: what comes out is what the model says, whatever way the work was cut. */
class GeneratorTest {

    private static Stream<Arguments> models() {
        List<Arguments> cases = new ArrayList<>();
        cases.add(named("vanilla", TinyModel::vanilla));
        for (KvCache cache : List.of(new RecursionWiseCache(), new SharedCache(), new HybridCache())) {
            String name = cache.getClass().getSimpleName();
            cases.add(named("cycle, " + name, () -> TinyModel.of(Sharing.CYCLE, 6, 3, cache)));
            cases.add(named("middle-cycle, " + name, () -> TinyModel.of(Sharing.MIDDLE_CYCLE, 5, 3, cache)));
            cases.add(named("sequence, " + name, () -> TinyModel.of(Sharing.SEQUENCE, 4, 2, cache)));
            cases.add(named("middle-sequence, " + name, () -> TinyModel.of(Sharing.MIDDLE_SEQUENCE, 6, 2, cache)));
            for (Routing routing : Routing.all()) {
                cases.add(named(
                        "cycle, " + name + ", " + routing.name(),
                        () -> TinyModel.routed(Sharing.CYCLE, 3, 3, cache, routing)));
                cases.add(named(
                        "middle-cycle, " + name + ", " + routing.name(),
                        () -> TinyModel.routed(Sharing.MIDDLE_CYCLE, 5, 3, cache, routing)));
            }
        }
        return cases.stream();
    }

    private static Arguments named(String name, Supplier<TinyModel> model) {
        return Arguments.of(Named.of(name, model));
    }

    private static Generator generator(TinyModel tiny, GeneratorOptions options) {
        return new Generator(tiny.model, tiny.weights, Optional.empty(), options);
    }

    private static Generator withBytes(TinyModel tiny, boolean endOfText) {
        return new Generator(
                tiny.model,
                tiny.weights,
                Optional.of(new ByteTokenizer(new ByteTokenizer.Config(endOfText))),
                GeneratorOptions.forSequences(2));
    }

    private static List<Integer> greedyWithoutCache(TinyModel tiny, List<Integer> prompt, int tokens) {
        List<Integer> ids = new ArrayList<>(prompt);
        for (int i = 0; i < tokens; i++) {
            double[] logits = tiny.uncached(ids).logits();
            int best = 0;
            for (int id = 1; id < logits.length; id++) {
                best = logits[id] > logits[best] ? id : best;
            }
            ids.add(best);
        }
        return ids.subList(prompt.size(), ids.size());
    }

    /** What does not depend on the clock. */
    private static List<Object> outcome(GenerationResult result) {
        return List.of(
                result.ids(), result.text(), result.ending(), result.depths(), result.kvEntries(), result.kvBytes());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("models")
    void greedyTokensAreThoseOfWholeSequencesWithoutACache(Supplier<TinyModel> model) {
        try (TinyModel tiny = model.get();
                Generator generator = generator(tiny, GeneratorOptions.forSequences(1))) {
            GenerationResult result = generator.generate(
                    GenerationRequest.of(3, 1, 4, 1, 5).maxTokens(12).build());
            assertEquals(greedyWithoutCache(tiny, List.of(3, 1, 4, 1, 5), 12), result.ids());
            assertEquals(Ending.MAX_TOKENS, result.ending());
            List<Integer> all = Stream.concat(Stream.of(3, 1, 4, 1, 5), result.ids().stream())
                    .toList();
            List<Integer> depths =
                    Arrays.stream(tiny.uncached(all).depths()).boxed().toList();
            assertEquals(depths.subList(4, 16), result.depths(), "each new token has the depth of the row before it");
            assertEquals(
                    depths.subList(4, 16).stream()
                            .mapToInt(depth -> depth)
                            .average()
                            .orElseThrow(),
                    result.meanDepth());
            assertEquals(16, result.cachedTokens(), "the last new token is never fed");
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("models")
    void aPromptTakenAtOnceInPiecesOrTokenByTokenGivesTheSame(Supplier<TinyModel> model) {
        GenerationRequest request = GenerationRequest.of(7, 0, 36, 2, 2, 9, 11)
                .maxTokens(15)
                .temperature(2)
                .seed(3)
                .build();
        try (TinyModel tiny = model.get()) {
            List<List<Object>> outcomes = new ArrayList<>();
            for (int prefillRows : new int[] {2048, 7, 3, 1}) {
                for (boolean skip : new boolean[] {true, false}) {
                    try (Generator generator = generator(tiny, new GeneratorOptions(1, prefillRows, skip))) {
                        outcomes.add(outcome(generator.generate(request)));
                    }
                }
            }
            assertEquals(Collections.nCopies(outcomes.size(), outcomes.getFirst()), outcomes);
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("models")
    void aRaggedBatchGivesWhatSingleRunsGive(Supplier<TinyModel> model) {
        List<GenerationRequest> requests = List.of(
                GenerationRequest.of(1).maxTokens(9).temperature(2).seed(1).build(),
                GenerationRequest.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
                        .maxTokens(3)
                        .build(),
                GenerationRequest.of(20, 21, 22).maxTokens(1).build(),
                GenerationRequest.of(5, 5)
                        .maxTokens(14)
                        .temperature(1)
                        .topK(9)
                        .topP(0.9)
                        .seed(1)
                        .build(),
                GenerationRequest.of(36, 0)
                        .maxTokens(0)
                        .temperature(1.5)
                        .seed(8)
                        .build());
        try (TinyModel tiny = model.get();
                Generator wide = generator(tiny, GeneratorOptions.forSequences(5));
                Generator narrow = generator(tiny, new GeneratorOptions(2, 4, true));
                Generator single = generator(tiny, GeneratorOptions.forSequences(1))) {
            List<List<Object>> alone = requests.stream()
                    .map(request -> outcome(single.generate(request)))
                    .toList();
            assertEquals(
                    alone,
                    wide.generate(requests, GenerationListener.NONE).stream()
                            .map(GeneratorTest::outcome)
                            .toList(),
                    "all at once");
            assertEquals(
                    alone,
                    narrow.generate(requests, GenerationListener.NONE).stream()
                            .map(GeneratorTest::outcome)
                            .toList(),
                    "two at a time");
            assertEquals(
                    alone,
                    wide.generate(requests, GenerationListener.NONE).stream()
                            .map(GeneratorTest::outcome)
                            .toList(),
                    "slots used again");
        }
    }

    @Test
    void memoryIsUsedAsPromisedAndAllGivenBack() {
        for (KvCache cache : List.of(new RecursionWiseCache(), new SharedCache(), new HybridCache())) {
            try (TinyModel tiny = TinyModel.routed(
                            new ReferenceBackend(), Sharing.CYCLE, 3, 3, cache, Routing.tokenChoice());
                    Generator generator = generator(tiny, new GeneratorOptions(2, 4, true))) {
                GenerationRequest request = GenerationRequest.of(1, 2, 3, 4, 5, 6, 7)
                        .maxTokens(5)
                        .temperature(1)
                        .build();
                assertEquals(
                        3,
                        generator
                                .generate(List.of(request, request, request), GenerationListener.NONE)
                                .size());
            }
        }
    }

    @Test
    void theSkippedPrefillIsUsedForCycleWithSharedKeysAndValuesOnly() {
        GenerationRequest request = GenerationRequest.of(1, 2, 3).maxTokens(2).build();
        try (TinyModel tiny = TinyModel.of(Sharing.CYCLE, 6, 3, new SharedCache());
                Generator skipping = generator(tiny, new GeneratorOptions(1, 100, true));
                Generator complete = generator(tiny, new GeneratorOptions(1, 100, false))) {
            assertTrue(skipping.skipsPrompt());
            assertFalse(complete.skipsPrompt());
            assertEquals(List.of(1, 1, 3), skipping.generate(request).promptDepths());
            assertEquals(List.of(3, 3, 3), complete.generate(request).promptDepths());
        }
        for (KvCache cache : List.of(new RecursionWiseCache(), new HybridCache())) {
            try (TinyModel tiny = TinyModel.of(Sharing.CYCLE, 6, 3, cache);
                    Generator generator = generator(tiny, GeneratorOptions.forSequences(1))) {
                assertFalse(generator.skipsPrompt());
            }
        }
        try (TinyModel tiny = TinyModel.of(Sharing.MIDDLE_CYCLE, 5, 3, new SharedCache());
                Generator generator = generator(tiny, GeneratorOptions.forSequences(1))) {
            assertFalse(generator.skipsPrompt());
        }
    }

    @Test
    void keysAndValuesAreCountedPerLayerAndRecursion() {
        // 5 prompt tokens and 4 new ones leave 8 in the cache; 2 values of width 6 in double precision per entry.
        GenerationRequest request =
                GenerationRequest.of(1, 2, 3, 4, 5).maxTokens(4).build();
        for (EntriesOf expected :
                List.of(new EntriesOf(new RecursionWiseCache(), 8 * 6), new EntriesOf(new SharedCache(), 8 * 2))) {
            try (TinyModel tiny = TinyModel.of(Sharing.CYCLE, 6, 3, expected.cache());
                    Generator generator = generator(tiny, GeneratorOptions.forSequences(1))) {
                GenerationResult result = generator.generate(request);
                assertEquals(expected.entries(), result.kvEntries());
                assertEquals(expected.entries() * 2 * 6 * 8, result.kvBytes());
                assertEquals(result.kvBytes() / 8.0, result.kvBytesPerToken());
            }
        }
    }

    private record EntriesOf(KvCache cache, long entries) {}

    @Test
    void zeroMaxTokensFillsTheContext() {
        try (TinyModel tiny = TinyModel.vanilla();
                Generator generator = generator(tiny, GeneratorOptions.forSequences(1))) {
            GenerationResult result =
                    generator.generate(GenerationRequest.of(1, 2, 3).build());
            assertEquals(TinyModel.CONTEXT - 2, result.ids().size(), "the last token needs no position");
            assertEquals(Ending.CONTEXT_FULL, result.ending());
            int[] full = IntStream.range(0, TinyModel.CONTEXT)
                    .map(i -> i % TinyModel.VOCABULARY)
                    .toArray();
            assertEquals(
                    1,
                    generator.generate(GenerationRequest.of(full).build()).ids().size());
        }
    }

    @Test
    void aStopIdEndsAndIsTheLast() {
        try (TinyModel tiny = TinyModel.vanilla();
                Generator generator = generator(tiny, GeneratorOptions.forSequences(1))) {
            List<Integer> free = generator
                    .generate(
                            GenerationRequest.of(1).maxTokens(20).temperature(3).build())
                    .ids();
            int stop = free.get(7);
            int first = free.indexOf(stop);
            GenerationResult result = generator.generate(GenerationRequest.of(1)
                    .maxTokens(20)
                    .temperature(3)
                    .stopIds(List.of(stop))
                    .build());
            assertEquals(free.subList(0, first + 1), result.ids());
            assertEquals(Ending.STOP_TOKEN, result.ending());
        }
    }

    @Test
    void stopStringsAreFoundAcrossTokensAndStreamedTextIsTheResultsText() {
        try (TinyModel tiny = TinyModel.ofVocabulary(256);
                Generator generator = withBytes(tiny, false)) {
            GenerationRequest.Builder request =
                    GenerationRequest.of('a', 'b').maxTokens(30).temperature(1).seed(4);
            List<Integer> free = generator.generate(request.build()).ids();
            int at = ascii(free);
            String stop = "" + (char) (int) free.get(at) + (char) (int) free.get(at + 1);
            List<GeneratedToken> tokens = new ArrayList<>();
            GenerationResult result = generator
                    .generate(List.of(request.stopStrings(stop).build()), tokens::add)
                    .getFirst();
            assertEquals(Ending.STOP_STRING, result.ending());
            assertEquals(free.subList(0, at + 2), result.ids());
            assertFalse(result.text().contains(stop));
            assertEquals(
                    result.text(),
                    String.join("", tokens.stream().map(GeneratedToken::text).toList()));
            assertEquals(result.ids(), tokens.stream().map(GeneratedToken::id).toList());
        }
    }

    /** The first place where two bytes that are characters follow each other, not found earlier. */
    private static int ascii(List<Integer> ids) {
        for (int i = 1; i + 1 < ids.size(); i++) {
            if (ids.get(i) < 128 && ids.get(i + 1) < 128) {
                return i;
            }
        }
        throw new AssertionError("this seed gives no two neighbouring ASCII bytes: " + ids);
    }

    @Test
    void theStreamFollowsEverySequenceInOrder() {
        try (TinyModel tiny = TinyModel.ofVocabulary(256);
                Generator generator = withBytes(tiny, false)) {
            List<GeneratedToken> tokens = new ArrayList<>();
            List<Integer> finished = new ArrayList<>();
            List<GenerationResult> results = generator.generate(
                    List.of(
                            GenerationRequest.of('a').maxTokens(6).build(),
                            GenerationRequest.of('b', 'c').maxTokens(2).build(),
                            GenerationRequest.of('d').maxTokens(3).build()),
                    new GenerationListener() {
                        @Override
                        public void token(GeneratedToken token) {
                            tokens.add(token);
                        }

                        @Override
                        public void finished(int sequence, GenerationResult result) {
                            finished.add(sequence);
                        }
                    });
            assertEquals(List.of(1, 2, 0), finished);
            for (int sequence = 0; sequence < 3; sequence++) {
                int number = sequence;
                List<GeneratedToken> own = tokens.stream()
                        .filter(token -> token.sequence() == number)
                        .toList();
                assertEquals(
                        results.get(sequence).ids(),
                        own.stream().map(GeneratedToken::id).toList());
                assertEquals(
                        IntStream.range(0, own.size()).boxed().toList(),
                        own.stream().map(GeneratedToken::index).toList());
                assertEquals(
                        results.get(sequence).text(),
                        String.join("", own.stream().map(GeneratedToken::text).toList()));
            }
        }
    }

    @Test
    void cancellingOneSequenceLeavesTheOthersAsTheyAre() {
        try (TinyModel tiny = TinyModel.vanilla();
                Generator generator = generator(tiny, GeneratorOptions.forSequences(2))) {
            GenerationRequest request = GenerationRequest.of(1, 2).maxTokens(10).build();
            List<GeneratedToken> tokens = new ArrayList<>();
            List<GenerationResult> results =
                    generator.generate(List.of(request, request, request), new GenerationListener() {
                        @Override
                        public void token(GeneratedToken token) {
                            tokens.add(token);
                        }

                        @Override
                        public boolean isCancelled(int sequence) {
                            return sequence == 2
                                    || sequence == 0
                                            && tokens.stream()
                                                            .filter(token -> token.sequence() == 0)
                                                            .count()
                                                    == 4;
                        }
                    });
            List<Integer> whole = generator.generate(request).ids();
            assertEquals(Ending.CANCELLED, results.get(0).ending());
            assertEquals(whole.subList(0, 4), results.get(0).ids());
            assertEquals(whole, results.get(1).ids());
            assertEquals(Ending.CANCELLED, results.get(2).ending());
            assertEquals(List.of(), results.get(2).ids(), "cancelled before it began");
        }
    }

    @Test
    void aListenerThatThrowsLeavesTheGeneratorUsable() {
        try (TinyModel tiny = TinyModel.vanilla();
                Generator generator = generator(tiny, GeneratorOptions.forSequences(2))) {
            GenerationRequest request = GenerationRequest.of(1, 2).maxTokens(5).build();
            List<Integer> before = generator.generate(request).ids();
            for (int i = 0; i < 3; i++) {
                assertThrows(
                        IllegalStateException.class,
                        () -> generator.generate(List.of(request, request), token -> {
                            if (token.index() == 2) {
                                throw new IllegalStateException("the reader went away");
                            }
                        }));
            }
            assertEquals(before, generator.generate(request).ids());
        }
    }

    @Test
    void anEmptyPromptBeginsWithTheEndOfText() {
        try (TinyModel tiny = TinyModel.ofVocabulary(257);
                Generator generator = withBytes(tiny, true)) {
            assertEquals(
                    generator
                            .generate(GenerationRequest.of(256).maxTokens(5).build())
                            .ids(),
                    generator
                            .generate(GenerationRequest.of().maxTokens(5).build())
                            .ids());
        }
    }

    @Test
    void idsThatTheTokenizerHasNotStandForNoText() {
        try (TinyModel tiny = TinyModel.ofVocabulary(1000);
                Generator generator = withBytes(tiny, false)) {
            GenerationResult result = generator.generate(
                    GenerationRequest.of(1).maxTokens(20).temperature(2).build());
            assertTrue(result.ids().stream().anyMatch(id -> id >= 256), "this seed gives none: " + result.ids());
            assertEquals(20, result.ids().size());
        }
    }

    @Test
    void requestsThatDoNotFitTheModelAreRefusedBeforeAnythingRuns() {
        try (TinyModel tiny = TinyModel.vanilla();
                Generator generator = generator(tiny, GeneratorOptions.forSequences(1))) {
            assertRefused(
                    generator,
                    GenerationRequest.of(1, 2, 37),
                    "token 3 of the prompt is id 37",
                    "0 to 36",
                    "own tokenizer");
            assertRefused(generator, GenerationRequest.of(-1), "token 1 of the prompt is id -1");
            assertRefused(generator, GenerationRequest.of(), "no tokens", "give at least one");
            assertRefused(
                    generator, GenerationRequest.of(new int[42]), "42 tokens", "context 41", "leave out at least 1");
            assertRefused(
                    generator,
                    GenerationRequest.of(new int[40]).maxTokens(5),
                    "40 tokens and 5 new ones",
                    "41",
                    "at most 2",
                    "shorten the prompt by 3");
            assertRefused(generator, GenerationRequest.of(1).stopIds(List.of(99)), "stop id 99", "0 to 36");
            assertRefused(generator, GenerationRequest.of(1).stopStrings("x"), "[x]", "need a tokenizer");
            List<GeneratedToken> tokens = new ArrayList<>();
            UsageException refusal = assertThrows(
                    UsageException.class,
                    () -> generator.generate(
                            List.of(
                                    GenerationRequest.of(1).build(),
                                    GenerationRequest.of(99).build()),
                            tokens::add));
            assertTrue(refusal.getMessage().startsWith("request 2 of 2: "), refusal.getMessage());
            assertEquals(List.of(), tokens);
            assertEquals(
                    2,
                    generator
                            .generate(GenerationRequest.of(new int[40])
                                    .maxTokens(2)
                                    .build())
                            .ids()
                            .size(),
                    "what just fits");
        }
    }

    private static void assertRefused(Generator generator, GenerationRequest.Builder request, String... parts) {
        String message = assertThrows(UsageException.class, () -> generator.generate(request.build()))
                .getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), message);
        }
    }

    @Test
    void aTokenizerOfAnotherModelIsRefused() {
        try (TinyModel tiny = TinyModel.vanilla()) {
            String message = assertThrows(UsageException.class, () -> withBytes(tiny, false))
                    .getMessage();
            assertTrue(message.contains("256 ids, the model only 37"), message);
        }
    }

    @Test
    void brokenWeightsAreToldInsteadOfSampled() {
        try (TinyModel tiny = TinyModel.vanilla();
                Generator generator = generator(tiny, GeneratorOptions.forSequences(1))) {
            tiny.backend.fill(tiny.weights.value(tiny.model.head()), Double.NaN);
            for (double temperature : new double[] {0, 1}) {
                String message = assertThrows(
                                GenerationException.class,
                                () -> generator.generate(GenerationRequest.of(1, 2)
                                        .maxTokens(3)
                                        .temperature(temperature)
                                        .build()))
                        .getMessage();
                assertTrue(
                        message.contains("after position 1 of request 1") && message.contains("not finite"), message);
            }
        }
    }
}
