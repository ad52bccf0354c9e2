package io.mor.testkit;

import static io.mor.testkit.ModelChecks.assertRows;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvVisit;
import io.mor.api.tensor.Phase;
import io.mor.testkit.BlockBench.Setting;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/**
 * What every cache strategy promises: its plan can be carried out, and training, evaluation, prefill and decoding that follow it agree. The block
 * is a small one that attends and does nothing else, in double precision. Extend it, say how the strategy is made, and what it does by the methods
 * to override; the tests hold it to the opposite as well.
 */
public abstract class KvCacheContract {

    private static final List<Integer> LENGTHS = List.of(5, 1, 7, 3);
    private static final List<Integer> IDS = BlockBench.ids(3, 16);
    private static final int LONGER_THAN_TWO_PAGES = 35;
    private static final int MOST_RECURSIONS = 5;
    private static final int LAYERS = 4;

    private Backend backend;

    /** For subclasses. */
    protected KvCacheContract() {}

    /** A strategy. */
    protected abstract KvCache createCache();

    /** Where it runs; in double precision. */
    protected Backend createBackend() {
        return ReferenceBackends.create(getClass().getClassLoader());
    }

    /** Whether later recursions store keys and values too. If not, they only read what earlier ones stored. */
    protected boolean storesAtLaterRecursions() {
        return true;
    }

    /** Whether a later recursion reads what an earlier one stored. */
    protected boolean readsEarlierRecursions() {
        return false;
    }

    /** Whether some visit sees the last positions only. */
    protected boolean hasWindows() {
        return false;
    }

    private BlockBench bench(Setting setting) {
        return new BlockBench(backend, AttentionBlock::new, createCache(), setting);
    }

    @BeforeEach
    final void createBackendUnderWatch() {
        backend = new AssertingBackend(createBackend());
    }

    @AfterEach
    final void closeBackend() {
        backend.close();
    }

    // ---- the plan

    private List<KvVisit> plans(KvCache cache) {
        List<KvVisit> plans = new ArrayList<>();
        for (int recursions = 1; recursions <= MOST_RECURSIONS; recursions++) {
            for (int recursion = 1; recursion <= recursions; recursion++) {
                for (int layer = 0; layer < LAYERS; layer++) {
                    plans.add(cache.visit(recursion, recursions, layer));
                }
            }
        }
        return plans;
    }

    @Test
    void everyPlanCanBeCarriedOutAndStaysTheSame() {
        KvCache cache = new AssertingKvCache(createCache());
        assertEquals(plans(cache), plans(cache));
        assertEquals(plans(cache), plans(createCache()), "another instance made alike");
        for (int recursion = 1; recursion <= MOST_RECURSIONS; recursion++) {
            assertEquals(cache.everyCandidateRuns(recursion), cache.everyCandidateRuns(recursion));
        }
    }

    @Test
    void recursionOneStoresAndReadsItsOwn() {
        KvCache cache = createCache();
        for (int layer = 0; layer < LAYERS; layer++) {
            KvVisit plan = cache.visit(1, BlockBench.RECURSIONS, layer);
            assertTrue(plan.writes() && plan.source() == 1, "the plan of recursion 1, layer " + layer + ": " + plan);
        }
    }

    @Test
    void laterRecursionsStoreReadAndSeeWhatTheStrategySays() {
        KvCache cache = createCache();
        boolean stores = false;
        boolean readsEarlier = false;
        boolean windows = false;
        for (int layer = 0; layer < LAYERS; layer++) {
            windows |= cache.visit(1, BlockBench.RECURSIONS, layer).window() > 0;
            for (int recursion = 2; recursion <= BlockBench.RECURSIONS; recursion++) {
                KvVisit plan = cache.visit(recursion, BlockBench.RECURSIONS, layer);
                stores |= plan.writes();
                readsEarlier |= plan.source() < recursion;
                windows |= plan.window() > 0;
            }
        }
        assertEquals(storesAtLaterRecursions(), stores, "storesAtLaterRecursions() says otherwise");
        assertEquals(readsEarlierRecursions(), readsEarlier, "readsEarlierRecursions() says otherwise");
        assertEquals(hasWindows(), windows, "hasWindows() says otherwise");
    }

    @Test
    void whatUnselectedTokensLeaveIsThereForLaterReaders() {
        // Spec 4.1: who reads recursion 1 at a later one sees every token there, also those that a router did not
        // select.
        KvCache cache = createCache();
        for (int recursion = 2; recursion <= BlockBench.RECURSIONS; recursion++) {
            KvVisit plan = cache.visit(recursion, BlockBench.RECURSIONS, 0);
            if (plan.source() == 1) {
                assertTrue(
                        cache.everyCandidateRuns(1),
                        "recursion " + recursion + " reads recursion 1, but everyCandidateRuns(1) is false");
            }
        }
    }

    // ---- what depends on what

    @Test
    void aLaterTokenChangesNothingForEarlierOnes() {
        try (BlockBench bench = bench(Setting.SKIPPING)) {
            for (Phase phase : Phase.values()) {
                ModelChecks.assertCausal(bench, phase, LENGTHS, IDS);
            }
        }
    }

    @Test
    void aFirstTokenIsSeenByTheLastUnlessWindowsHideIt() {
        int tokens = LONGER_THAN_TWO_PAGES;
        List<Integer> ids = BlockBench.ids(5, tokens);
        List<Integer> changed = new ArrayList<>(ids);
        changed.set(0, (ids.getFirst() + 1) % BlockBench.VOCABULARY);
        try (BlockBench bench = bench(Setting.FULL_DEPTH)) {
            List<Integer> pieces = List.of(tokens - 1, 1);
            double[] before = bench.generate(ids, pieces, 0).rows().getLast();
            double[] after = bench.generate(changed, pieces, 0).rows().getLast();
            if (!hasWindows()) {
                assertTrue(
                        !Arrays.equals(before, after),
                        "token " + (tokens - 1) + " does not see token 0: the cache forgot it");
            }
        }
    }

    @Test
    void aPromptAtOnceHasTheBitsOfTokenByToken() {
        for (Setting setting : List.of(Setting.SKIPPING, Setting.FULL_DEPTH)) {
            try (BlockBench bench = bench(setting)) {
                ModelChecks.assertPrefillEqualsDecode(bench, LONGER_THAN_TWO_PAGES);
            }
        }
    }

    @Test
    void aBatchOfMixedRecursionsEqualsUniformBatches() {
        try (BlockBench bench = bench(Setting.FULL_DEPTH)) {
            ModelChecks.assertMixedEqualsUniform(bench);
        }
    }

    @Test
    void raggedSequencesEqualEachByItself() {
        try (BlockBench bench = bench(Setting.SKIPPING)) {
            for (Phase phase : Phase.values()) {
                ModelChecks.assertSequencesByThemselves(bench, phase, LENGTHS, IDS);
            }
        }
    }

    @Test
    void noTokensAtAllAndEmptySequencesAreFine() {
        try (BlockBench bench = bench(Setting.SKIPPING)) {
            ModelChecks.assertEmptyIsFine(bench);
        }
    }

    @Test
    void aSingleTokenIsItsOwnContext() {
        try (BlockBench bench = bench(Setting.FULL_DEPTH)) {
            List<Integer> ids = List.of(7);
            assertRows(
                    bench.walk(Phase.CAUSAL, List.of(1), ids),
                    bench.generate(ids, List.of(1), 0).rows(),
                    1e-12,
                    "one token");
        }
    }

    // ---- what is held

    @Test
    void whatIsHeldIsWhatThePlanWritesAtTheDepthOfEachToken() {
        int tokens = LONGER_THAN_TWO_PAGES;
        List<Integer> ids = BlockBench.ids(5, tokens);
        KvCache cache = createCache();
        for (Setting setting : List.of(Setting.SKIPPING, Setting.FULL_DEPTH)) {
            long expected = 0;
            for (int position = 0; position < tokens; position++) {
                int depth = setting.skipping() ? BlockBench.depth(position) : BlockBench.RECURSIONS;
                for (int recursion = 1; recursion <= depth; recursion++) {
                    int r = recursion;
                    expected += IntStream.range(0, BlockBench.BLOCK_LAYERS)
                            .filter(layer ->
                                    cache.visit(r, BlockBench.RECURSIONS, layer).writes())
                            .count();
                }
            }
            try (BlockBench bench = bench(setting)) {
                assertEquals(
                        expected,
                        bench.generate(ids, List.of(tokens - 2, 1, 1), 0).entries(),
                        "rows of keys and values held, " + setting);
            }
        }
    }

    @Test
    void theStorageRefusesUseOutOfOrderAndAfterTheEnd() {
        try (BlockBench bench = bench(Setting.FULL_DEPTH)) {
            AssertingKvStorage storage = bench.storage(2, 8);
            int slot = storage.open();
            assertRefused("sequence " + (slot + 1) + " is not open", () -> storage.reserve(slot + 1, 1));
            assertRefused("room is reserved for 0", () -> bench.call(storage, slot, 0, List.of(3)));
            storage.reserve(slot, 2);
            bench.call(storage, slot, 0, List.of(3));
            assertRefused("not synchronized", () -> storage.reserve(slot, 1));
            assertRefused("out of order", () -> bench.call(storage, slot, 0, List.of(4)));
            storage.synchronize();
            assertTrue(assertThrows(IllegalStateException.class, () -> storage.reserve(slot, 9))
                    .getMessage()
                    .contains("room for 8"));
            storage.release(slot);
            assertRefused("sequence " + slot + " is not open", () -> storage.release(slot));
            storage.close();
            assertRefused("the storage is closed", storage::open);
            assertRefused("the storage is closed", storage::close);
        }
    }

    private static void assertRefused(String part, Executable use) {
        String message = assertThrows(AssertionError.class, use).getMessage();
        assertTrue(message.contains(part), () -> "'" + part + "' in: " + message);
    }

    // ---- gradients and other backends

    @Test
    void gradientsAgreeWithCentralDifferences() {
        try (BlockBench bench = bench(Setting.SKIPPING)) {
            ModelChecks.assertGradients(bench, LENGTHS, IDS);
        }
    }

    @Test
    void everyOtherBackendHereAgreesWithTheReference() {
        OtherBackends.forEach(other -> {
            try (BlockBench bench = bench(Setting.SKIPPING);
                    BlockBench elsewhere =
                            new BlockBench(other.backend(), AttentionBlock::new, createCache(), Setting.SKIPPING)) {
                ModelChecks.assertAgree(bench, elsewhere, other, LENGTHS, IDS);
            }
        });
    }
}
