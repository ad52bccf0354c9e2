package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.backend.Backend;
import io.mor.api.cache.KvCache;
import io.mor.api.tensor.Phase;
import io.mor.backend.cpu.CpuBackend;
import io.mor.backend.cpu.CpuConfig;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.block.llama.Adapter;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.kvcache.shared.HybridCache;
import io.mor.kvcache.shared.SharedCache;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.generate.GenerationListener;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.Generator;
import io.mor.runtime.generate.GeneratorOptions;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.model.TokenRow;
import io.mor.testkit.AssertingKvStorage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Row independence, seen from generation: the bits of a token's logits do not depend on how the work was cut (spec 11 item 10). */
class PrefillEqualsDecodeTest {

    private static final int TOKENS = 33; // more than two pages of the cache
    private static final List<Integer> STEPS =
            IntStream.generate(() -> 1).limit(TOKENS).boxed().toList();

    private static Stream<Arguments> models() {
        List<Arguments> cases = new ArrayList<>();
        List<Named<Supplier<Backend>>> backends = List.of(
                Named.of("reference", ReferenceBackend::new), Named.of("cpu", () -> new CpuBackend(new CpuConfig(2))));
        for (Named<Supplier<Backend>> backend : backends) {
            for (KvCache cache : List.of(new RecursionWiseCache(), new SharedCache(), new HybridCache())) {
                for (Sharing sharing : List.of(Sharing.CYCLE, Sharing.MIDDLE_CYCLE)) {
                    for (Routing routing : Routing.all()) {
                        String name = backend.getName() + ", " + sharing + ", "
                                + cache.getClass().getSimpleName() + ", " + routing.name();
                        Supplier<TinyModel> model = () -> TinyModel.routed(
                                backend.getPayload().get(),
                                sharing,
                                sharing == Sharing.CYCLE ? 3 : 5,
                                3,
                                cache,
                                routing);
                        cases.add(Arguments.of(Named.of(name, model)));
                    }
                }
            }
            for (Routing routing : List.of(Routing.emaCutoff(), Routing.tokenChoice())) {
                Supplier<TinyModel> model = () -> {
                    TinyModel tiny = TinyModel.relaxed(
                            backend.getPayload().get(),
                            RelaxationTest.everything(Adapter.DORA, false),
                            Sharing.MIDDLE_CYCLE,
                            5,
                            3,
                            new RecursionWiseCache(),
                            Optional.of(routing));
                    tiny.shake(".");
                    return tiny;
                };
                cases.add(Arguments.of(Named.of(backend.getName() + ", relaxed, " + routing.name(), model)));
            }
        }
        return cases.stream();
    }

    /** Logits of all tokens {@code [tokens, vocabulary]}, taken so many at a time, in a given slot of the storage. */
    private static double[] logits(TinyModel tiny, int[] ids, List<Integer> pieces, int slotsBefore) {
        List<double[]> parts = new ArrayList<>();
        try (MemoryPool pool = new MemoryPool(tiny.backend);
                AssertingKvStorage storage =
                        AssertingKvStorage.paged(tiny.backend, tiny.model, slotsBefore + 1, TOKENS)) {
            List<Integer> slots = new ArrayList<>();
            for (int i = 0; i <= slotsBefore; i++) {
                slots.add(storage.open());
            }
            int slot = slots.getLast();
            int position = 0;
            for (int piece : pieces) {
                storage.reserve(slot, piece);
                try (Region region = pool.region()) {
                    ModelCall call = tiny.model.call(region, Phase.CAUSAL, tiny.weights, CallProgress.none(0));
                    List<TokenRow> rows = new ArrayList<>();
                    for (int i = 0; i < piece; i++) {
                        rows.add(new TokenRow(slot, position + i, 1));
                    }
                    int[] inputs = Arrays.copyOfRange(ids, position, position + piece);
                    parts.add(tiny.backend.readDoubles(tiny.model.logits(
                            call,
                            tiny.model.rows(
                                    call,
                                    TokenBatches.of(region, rows, List.of(position + piece)),
                                    region.ints(inputs),
                                    storage))));
                }
                storage.synchronize();
                position += piece;
            }
            slots.forEach(storage::release);
        }
        return parts.stream().flatMapToDouble(Arrays::stream).toArray();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("models")
    void aPrefillHasTheBitsOfSingleStepsAndOfAnyPieces(Supplier<TinyModel> model) {
        try (TinyModel tiny = model.get()) {
            int[] ids = IntStream.range(0, TOKENS)
                    .map(i -> (i * i + 5 * i) % TinyModel.VOCABULARY)
                    .toArray();
            double[] prefill = logits(tiny, ids, List.of(TOKENS), 0);
            assertEquals(TOKENS * TinyModel.VOCABULARY, prefill.length);
            assertArrayEquals(prefill, logits(tiny, ids, STEPS, 0), "token by token");
            assertArrayEquals(prefill, logits(tiny, ids, List.of(17, 1, 2, 13), 2), "in pieces, in another slot");
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("models")
    void aRaggedBatchDrawsWhatSingleRunsDraw(Supplier<TinyModel> model) {
        List<GenerationRequest> requests = List.of(
                GenerationRequest.of(4).maxTokens(7).temperature(1).seed(2).build(),
                GenerationRequest.of(IntStream.range(0, 19).toArray())
                        .maxTokens(9)
                        .temperature(1)
                        .seed(3)
                        .build(),
                GenerationRequest.of(30, 31, 32)
                        .maxTokens(12)
                        .temperature(1)
                        .seed(4)
                        .build());
        try (TinyModel tiny = model.get();
                Generator wide =
                        new Generator(tiny.model, tiny.weights, Optional.empty(), GeneratorOptions.forSequences(3));
                Generator single =
                        new Generator(tiny.model, tiny.weights, Optional.empty(), new GeneratorOptions(1, 5, false))) {
            List<GenerationResult> together = wide.generate(requests, GenerationListener.NONE);
            for (int i = 0; i < requests.size(); i++) {
                GenerationResult alone = single.generate(requests.get(i));
                assertEquals(alone.ids(), together.get(i).ids());
                assertEquals(alone.depths(), together.get(i).depths());
                assertEquals(alone.kvEntries(), together.get(i).kvEntries());
            }
        }
    }
}
