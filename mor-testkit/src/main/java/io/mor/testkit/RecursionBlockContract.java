package io.mor.testkit;

import static io.mor.testkit.ModelChecks.assertRows;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.api.block.BlockPlacement;
import io.mor.api.block.RecursionBlock;
import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvVisit;
import io.mor.api.model.ModelShape;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.testkit.BlockBench.Applied;
import io.mor.testkit.BlockBench.Setting;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What every recursion block promises, run as a model runs it, in double precision. Extend it, say how the block is made, and turn off what it
 * does not do: the tests then hold it to the opposite.
 */
public abstract class RecursionBlockContract {

    private static final List<Integer> LENGTHS = List.of(5, 1, 7, 3);
    private static final List<Integer> IDS = BlockBench.ids(3, 16);
    private static final int LONGER_THAN_TWO_PAGES = 33;

    /** Every recursion keeps its own: the plan that asks most of a block. */
    private static final KvCache OWN = (recursion, recursions, layer) -> KvVisit.own(recursion);

    /** Later recursions read the first: they project nothing. */
    private static final KvCache SHARED =
            (recursion, recursions, layer) -> recursion == 1 ? KvVisit.own(1) : KvVisit.shared(1);

    private Backend backend;

    /** For subclasses. */
    protected RecursionBlockContract() {}

    /** A block for its place in a model. */
    protected abstract RecursionBlock createBlock(ModelShape shape, BlockPlacement placement);

    /** Where it runs; in double precision. */
    protected Backend createBackend() {
        return ReferenceBackends.create(getClass().getClassLoader());
    }

    /** Whether rows see earlier rows through the caches. If not, the block may not ask for a view. */
    protected boolean attends() {
        return true;
    }

    /** Whether one block does the same at every recursion where norms are shared. */
    protected boolean sameAtEveryRecursion() {
        return true;
    }

    /** Whether norms that are not shared over recursions make a difference between them. */
    protected boolean hasNormsOfItsOwnPerRecursion() {
        return true;
    }

    /** Whether the model's dropout applies in training. */
    protected boolean dropsOut() {
        return true;
    }

    private BlockBench bench(KvCache cache, Setting setting) {
        return new BlockBench(backend, this::createBlock, cache, setting);
    }

    @BeforeEach
    final void createBackendUnderWatch() {
        backend = new AssertingBackend(createBackend());
    }

    @AfterEach
    final void closeBackend() {
        backend.close();
    }

    // ---- what is declared

    @Test
    void declaresTheSameStateOnEveryCallUnderNamesOfItsOwn() {
        try (BlockBench bench = bench(OWN, Setting.SKIPPING)) {
            RecursionBlock block = bench.block();
            assertEquals(block.parameters(), block.parameters());
            assertEquals(block.buffers(), block.buffers());
            List<String> names =
                    block.parameters().stream().map(Parameter::name).toList();
            assertEquals(names.size(), new HashSet<>(names).size(), "names occur twice in " + names);
        }
    }

    @Test
    void blocksAtTwoPlacesShareNoName() {
        try (BlockBench bench = bench(OWN, Setting.SKIPPING)) {
            List<String> first = names(createBlock(bench.shape(), new BlockPlacement(0, 2, 1)));
            List<String> second = names(createBlock(bench.shape(), new BlockPlacement(2, 1, 3)));
            assertTrue(
                    Collections.disjoint(first, second),
                    () -> "blocks at layers 0 and 2 share names: " + first + " and " + second);
        }
    }

    private static List<String> names(RecursionBlock block) {
        return block.parameters().stream().map(Parameter::name).toList();
    }

    @Test
    void multiplyAddsAreThoseOfItsMatrixProducts() {
        MultiplyAddCounter counter = new MultiplyAddCounter(createBackend());
        for (KvCache cache : List.of(OWN, SHARED)) {
            try (BlockBench bench = new BlockBench(counter, this::createBlock, cache, Setting.FULL_DEPTH)) {
                List<double[]> rows = IDS.stream().map(bench::embedding).toList();
                long first = counted(counter, bench, rows, 1);
                assertEquals(
                        bench.block().multiplyAddsPerRow(true),
                        first,
                        "multiply-adds of a row, keys and values projected");
                boolean projects = cache == OWN;
                assertEquals(
                        bench.block().multiplyAddsPerRow(projects),
                        counted(counter, bench, rows, 2) - first,
                        "multiply-adds of a row at recursion 2, keys and values " + (projects ? "" : "not ")
                                + "projected");
            }
        }
        counter.close();
    }

    private static long counted(MultiplyAddCounter counter, BlockBench bench, List<double[]> rows, int recursion) {
        counter.reset();
        bench.apply(Phase.CAUSAL, recursion, rows);
        return counter.multiplyAdds() / rows.size();
    }

    // ---- rows in, rows out

    @Test
    void keepsShapeAndExtentAndLeavesItsInputAlone() {
        try (BlockBench bench = bench(OWN, Setting.SKIPPING)) {
            for (int length : new int[] {0, 1, 7}) {
                List<double[]> rows =
                        IDS.subList(0, length).stream().map(bench::embedding).toList();
                for (Phase phase : Phase.values()) {
                    Applied applied = bench.apply(phase, 1, rows);
                    assertEquals(length, applied.output().size());
                    assertRows(rows, applied.inputAfter(), 0, phase + ": the rows given to the block");
                }
            }
        }
    }

    @Test
    void doesTheSameAtEveryRecursionOrSaysNot() {
        try (BlockBench bench = bench(OWN, Setting.FULL_DEPTH)) {
            bench.scatterParameters();
            assertEquals(sameAtEveryRecursion(), sameAtTwoRecursions(bench), "sameAtEveryRecursion() says otherwise");
        }
    }

    @Test
    void normsPerRecursionMakeADifferenceOrItSaysNot() {
        try (BlockBench bench = bench(OWN, new Setting(false, false, 0))) {
            bench.scatterParameters();
            assertEquals(
                    !hasNormsOfItsOwnPerRecursion() && sameAtEveryRecursion(),
                    sameAtTwoRecursions(bench),
                    "hasNormsOfItsOwnPerRecursion() says otherwise");
        }
    }

    private static boolean sameAtTwoRecursions(BlockBench bench) {
        List<double[]> rows = IDS.subList(0, 5).stream().map(bench::embedding).toList();
        List<double[]> first = bench.apply(Phase.CAUSAL, 1, rows).output();
        List<double[]> second = bench.apply(Phase.CAUSAL, 2, rows).output();
        return IntStream.range(0, rows.size()).allMatch(i -> Arrays.equals(first.get(i), second.get(i)));
    }

    @Test
    void dropoutIsForTrainingAlone() {
        try (BlockBench without = bench(OWN, Setting.SKIPPING);
                BlockBench with = bench(OWN, new Setting(true, true, 0.5))) {
            for (Phase phase : List.of(Phase.CAUSAL, Phase.FULL_SEQUENCE_EVALUATION)) {
                assertRows(
                        without.walk(phase, LENGTHS, IDS),
                        with.walk(phase, LENGTHS, IDS),
                        0,
                        phase + " with a dropout of 0.5");
            }
            List<double[]> dropped = with.walk(Phase.TRAINING, LENGTHS, IDS);
            assertRows(dropped, with.walk(Phase.TRAINING, LENGTHS, IDS), 0, "the same micro-batch twice");
            assertEquals(
                    dropsOut(),
                    !ModelChecks.same(without.walk(Phase.TRAINING, LENGTHS, IDS), dropped),
                    "dropsOut() says otherwise");
        }
    }

    // ---- what depends on what

    @Test
    void aLaterTokenChangesNothingForEarlierOnes() {
        try (BlockBench bench = bench(OWN, Setting.SKIPPING)) {
            for (Phase phase : Phase.values()) {
                ModelChecks.assertCausal(bench, phase, LENGTHS, IDS);
            }
        }
    }

    @Test
    void earlierTokensAreSeenOrTheBlockSaysNot() {
        try (BlockBench bench = bench(OWN, Setting.FULL_DEPTH)) {
            List<Integer> changed = new ArrayList<>(IDS.subList(0, 5));
            changed.set(0, (changed.getFirst() + 1) % BlockBench.VOCABULARY);
            double[] before =
                    bench.walk(Phase.CAUSAL, List.of(5), IDS.subList(0, 5)).getLast();
            double[] after = bench.walk(Phase.CAUSAL, List.of(5), changed).getLast();
            assertEquals(
                    attends(),
                    !Arrays.equals(before, after),
                    "attends() says otherwise: row 4 after a change of row 0");
        }
    }

    @Test
    void aPromptAtOnceHasTheBitsOfTokenByToken() {
        for (KvCache cache : List.of(OWN, SHARED)) {
            try (BlockBench bench = bench(cache, Setting.SKIPPING)) {
                ModelChecks.assertPrefillEqualsDecode(bench, LONGER_THAN_TWO_PAGES);
            }
        }
    }

    @Test
    void aBatchOfMixedRecursionsEqualsUniformBatches() {
        for (Setting setting : List.of(Setting.FULL_DEPTH, new Setting(false, false, 0))) {
            try (BlockBench bench = bench(OWN, setting)) {
                bench.scatterParameters();
                ModelChecks.assertMixedEqualsUniform(bench);
            }
        }
    }

    @Test
    void raggedSequencesEqualEachByItself() {
        try (BlockBench bench = bench(OWN, Setting.SKIPPING)) {
            for (Phase phase : Phase.values()) {
                ModelChecks.assertSequencesByThemselves(bench, phase, LENGTHS, IDS);
            }
        }
    }

    @Test
    void noTokensAtAllAndEmptySequencesAreFine() {
        try (BlockBench bench = bench(OWN, Setting.SKIPPING)) {
            ModelChecks.assertEmptyIsFine(bench);
        }
    }

    // ---- randomness, the host

    @Test
    void theSameCallGivesTheSameBits() {
        try (BlockBench bench = bench(OWN, Setting.SKIPPING)) {
            for (Phase phase : Phase.values()) {
                assertRows(bench.walk(phase, LENGTHS, IDS), bench.walk(phase, LENGTHS, IDS), 0, phase + " twice");
            }
        }
    }

    @Test
    void noValueIsReadOnTheHostWithinAStep() {
        HostBlindBackend blind = new HostBlindBackend(createBackend());
        try (BlockBench far = new BlockBench(blind, this::createBlock, OWN, new Setting(true, false, 0))) {
            try (HostBlindBackend.BlindSection _ = blind.blind()) {
                far.unseenCalls(LENGTHS, IDS);
            }
        }
        blind.close();
    }

    @Test
    void rowsBeyondACountNeverMatter() {
        HostBlindBackend spoiling = new HostBlindBackend(createBackend());
        try (BlockBench near = bench(OWN, Setting.SKIPPING);
                BlockBench far = new BlockBench(spoiling, this::createBlock, OWN, Setting.SKIPPING)) {
            for (Phase phase : Phase.values()) {
                assertRows(
                        near.walk(phase, LENGTHS, IDS),
                        far.walk(phase, LENGTHS, IDS),
                        0,
                        phase + " with NaN beyond counts");
            }
            near.train(LENGTHS, IDS);
            far.train(LENGTHS, IDS);
            for (Parameter parameter : near.weights().parameters()) {
                assertArrayEquals(near.gradient(parameter), far.gradient(parameter), "gradient of " + parameter.name());
            }
        }
        spoiling.close();
    }

    @Test
    void viewsAreAskedForOnceAndOnlyByBlocksThatAttend() {
        try (BlockBench bench = bench(OWN, Setting.SKIPPING)) {
            long entries = bench.generate(IDS, List.of(IDS.size()), 0).entries();
            assertEquals(
                    attends(),
                    entries > 0,
                    "attends() says otherwise: " + entries + " rows of keys and values were stored");
        }
    }

    // ---- gradients and other backends

    @Test
    void gradientsAgreeWithCentralDifferences() {
        try (BlockBench bench = bench(OWN, new Setting(true, false, 0))) {
            ModelChecks.assertGradients(bench, LENGTHS, IDS);
        }
    }

    @Test
    void gradientsThroughSharedKeysAndValuesAgreeToo() {
        try (BlockBench bench = bench(SHARED, Setting.SKIPPING)) {
            ModelChecks.assertGradients(bench, LENGTHS, IDS);
        }
    }

    @Test
    void everyTrainedParameterGetsAGradient() {
        try (BlockBench bench = bench(OWN, new Setting(true, false, 0))) {
            bench.scatterParameters(); // a factor that starts at zero would hide its partner
            bench.train(LENGTHS, IDS);
            for (Parameter parameter : bench.block().parameters()) {
                assertTrue(
                        Arrays.stream(bench.gradient(parameter)).anyMatch(value -> value != 0),
                        parameter.name() + " gets no gradient");
            }
        }
    }

    @Test
    void everyOtherBackendHereAgreesWithTheReference() {
        OtherBackends.forEach(other -> {
            try (BlockBench bench = bench(OWN, Setting.SKIPPING);
                    BlockBench elsewhere = new BlockBench(other.backend(), this::createBlock, OWN, Setting.SKIPPING)) {
                ModelChecks.assertAgree(bench, elsewhere, other, LENGTHS, IDS);
            }
        });
    }
}
