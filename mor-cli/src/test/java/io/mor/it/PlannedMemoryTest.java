package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.api.cache.KvCache;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Phase;
import io.mor.api.tensor.Tensor;
import io.mor.backend.cpu.CpuBackend;
import io.mor.backend.cpu.CpuConfig;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.kvcache.shared.HybridCache;
import io.mor.kvcache.shared.SharedCache;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.data.Batch;
import io.mor.runtime.memory.AllocationTrace;
import io.mor.runtime.memory.DryRun;
import io.mor.runtime.memory.MemoryPlan;
import io.mor.runtime.memory.MemoryPool;
import io.mor.runtime.memory.PlannedMemory;
import io.mor.runtime.memory.Region;
import io.mor.runtime.model.CallProgress;
import io.mor.runtime.model.ModelCall;
import io.mor.runtime.model.TokenBatches;
import io.mor.runtime.tape.Recomputation;
import io.mor.runtime.train.AdamW;
import io.mor.runtime.train.AdamWSettings;
import io.mor.runtime.train.TrainingState;
import io.mor.runtime.train.TrainingStep;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Activations of training are placed before it starts: the right values, the size that was told, and the same addresses every step. */
class PlannedMemoryTest {

    private static final AdamWSettings SETTINGS = new AdamWSettings(0.9, 0.95, 1e-8, 0.1, 1);
    private static final TrainingState BEGIN = new TrainingState(0, 0, 7, 0);

    private static Batch batch(int rows, int context) {
        Random random = new Random(3);
        return new Batch(
                rows,
                context,
                random.ints((long) rows * context, 0, TinyModel.VOCABULARY).toArray(),
                random.ints((long) rows * context, 0, TinyModel.VOCABULARY).toArray());
    }

    /** The gradients of a micro-batch whose activations have memory of their own each. */
    private static List<double[]> gradientsWithoutReuse(TinyModel tiny, Batch batch) {
        tiny.weights.enableGradients();
        try (MemoryPool pool = new MemoryPool(tiny.backend);
                Region region = pool.region()) {
            ModelCall call = tiny.model.call(region, Phase.TRAINING, tiny.weights, new CallProgress(7, 0, 10, 0, 1));
            Tensor rows = tiny.model.rows(
                    call,
                    TokenBatches.ofSequences(region, Collections.nCopies(batch.rows(), batch.context())),
                    region.ints(batch.inputs()),
                    tiny.model.stepStorage());
            Tensor loss = call.tape()
                    .meanHeadCrossEntropy(rows, tiny.weights.value(tiny.model.head()), region.ints(batch.targets()), 1);
            call.tape().backward(call.weightedLosses().orElse(loss), 1);
        }
        return gradients(tiny);
    }

    private static List<double[]> gradients(TinyModel tiny) {
        List<double[]> all = new ArrayList<>();
        for (Parameter parameter : tiny.weights.parameters()) {
            all.add(tiny.backend.readDoubles(tiny.weights.gradient(parameter)));
        }
        return all;
    }

    @Test
    void gradientsAreThoseOfTensorsWithMemoryOfTheirOwnBitForBit() {
        Batch batch = batch(2, 13);
        for (Routing routing : Routing.all()) {
            List<KvCache> caches = routing.name().startsWith("expert")
                    ? List.of(new SharedCache(), new HybridCache())
                    : List.of(new SharedCache());
            for (KvCache cache : caches) {
                try (TinyModel apart = TinyModel.routed(Sharing.MIDDLE_CYCLE, 8, 3, cache, routing);
                        TinyModel placed =
                                TinyModel.routed(new ReferenceBackend(), Sharing.MIDDLE_CYCLE, 8, 3, cache, routing)) {
                    List<double[]> expected = gradientsWithoutReuse(apart, batch);
                    try (AdamW optimizer = new AdamW(placed.weights, SETTINGS);
                            TrainingStep step = new TrainingStep(placed.model, placed.weights, optimizer)) {
                        step.run(BEGIN, 10, 0, List.of(batch));
                        List<double[]> found = gradients(placed);
                        for (int i = 0; i < expected.size(); i++) {
                            assertArrayEquals(
                                    expected.get(i),
                                    found.get(i),
                                    routing.name() + " "
                                            + placed.weights.parameters().get(i).name());
                        }
                    }
                }
            }
        }
    }

    @Test
    void whatIsHeldIsWhatWasToldBeforeTheFirstStepAndLessThanTwoThirdsOfMemoryForEach() {
        try (TinyModel tiny = TinyModel.routed(Sharing.MIDDLE_CYCLE, 8, 3, new SharedCache(), Routing.emaCutoff());
                AdamW optimizer = new AdamW(tiny.weights, SETTINGS);
                TrainingStep step = new TrainingStep(tiny.model, tiny.weights, optimizer)) {
            MemoryPlan told = step.plan(BEGIN, 10, 1, 4, 40);
            TrainingState state = step.run(BEGIN, 10, 1e-3, List.of(batch(4, 40)));
            long held = step.activationBytes();
            for (int i = 0; i < 3; i++) {
                state = step.run(state, 10, 1e-3, List.of(batch(4, 40)));
            }
            assertEquals(held, step.activationBytes(), "the steps after the first take no more");
            assertEquals(told.bytes(), held, 512, "but for the scalars of what routers do after a step");
            System.out.printf(
                    Locale.ROOT,
                    "activations: %,d bytes placed, %,d in use at once, %,d without reuse%n",
                    told.bytes(),
                    told.trace().bytesInUseAtMost(),
                    told.trace().bytesWithoutReuse());
            assertTrue(3 * told.bytes() < 2 * told.trace().bytesWithoutReuse());
            assertTrue(told.bytes() < 1.15 * told.trace().bytesInUseAtMost(), "close to the least there could be");
        }
    }

    /** Each takes less memory than the one before. */
    private static final List<Recomputation> RECOMPUTATIONS = List.of(
            Recomputation.NONE,
            new Recomputation(Recomputation.Kind.NORMS_AND_GATES, 3),
            new Recomputation(Recomputation.Kind.NORMS_AND_GATES),
            new Recomputation(Recomputation.Kind.LAYERS, 5),
            new Recomputation(Recomputation.Kind.LAYERS));

    @Test
    void whatIsRecomputedTakesLessMemoryAndChangesNoBitOfAGradient() {
        Batch batch = batch(4, 40);
        for (boolean reference : new boolean[] {true, false}) {
            List<List<double[]>> found = new ArrayList<>();
            List<Long> bytes = new ArrayList<>();
            for (Recomputation recomputation : RECOMPUTATIONS) {
                Backend backend = reference ? new ReferenceBackend() : new CpuBackend(new CpuConfig(2));
                try (TinyModel tiny = TinyModel.routed(
                                backend, Sharing.MIDDLE_CYCLE, 8, 3, new SharedCache(), Routing.emaCutoff());
                        AdamW optimizer = new AdamW(tiny.weights, SETTINGS);
                        TrainingStep step = new TrainingStep(tiny.model, tiny.weights, optimizer, recomputation)) {
                    bytes.add(step.plan(BEGIN, 10, 1, 4, 40).bytes());
                    step.run(BEGIN, 10, 0, List.of(batch));
                    found.add(gradients(tiny));
                }
            }
            for (int mode = 1; mode < found.size(); mode++) {
                for (int i = 0; i < found.getFirst().size(); i++) {
                    assertArrayEquals(
                            found.getFirst().get(i),
                            found.get(mode).get(i),
                            RECOMPUTATIONS.get(mode) + ", parameter " + i);
                }
                assertTrue(bytes.get(mode) < bytes.get(mode - 1), bytes + " bytes");
            }
        }
    }

    @Test
    void aStepLikeTheOneBeforeGetsTheSameHandlesAndAllocatesNothing() {
        try (Backend backend = new ReferenceBackend();
                PlannedMemory memory = new PlannedMemory(backend)) {
            DryRun dryRun = new DryRun(backend);
            AllocationTrace trace = trace(dryRun, 3);
            List<Tensor> first = handles(memory, trace, 3);
            List<Tensor> second = handles(memory, trace(dryRun, 3), 3);
            for (int i = 0; i < first.size(); i++) {
                assertSame(first.get(i), second.get(i));
            }
            assertEquals(3 * 2 * 8 * 2, memory.heldBytes(), "a, b and c at once in two slots");
            handles(memory, trace(dryRun, 5), 5);
            assertEquals(5 * 2 * 8 * 2, memory.heldBytes(), "other shapes are laid out anew, the old ones given back");
        }
    }

    /** Kernels {@code b = a; c = b}: a and c are never in use at once. */
    private static AllocationTrace trace(DryRun dryRun, int rows) {
        return dryRun.trace(() -> {
            try (MemoryPool shapes = new MemoryPool(dryRun.backend());
                    Region region = shapes.region()) {
                work(region, rows);
            }
        });
    }

    private static List<Tensor> work(Region region, int rows) {
        Tensor a = region.allocate(rows, 2);
        region.backend().fill(a, 1);
        Tensor b = region.allocate(rows, 2);
        region.backend().copy(region.backend().view(b, 0, b.extent(), 2), a);
        Tensor c = region.allocate(rows, 2);
        region.backend().copy(c, b);
        return List.of(a, b, c);
    }

    private static List<Tensor> handles(PlannedMemory memory, AllocationTrace trace, int rows) {
        try (Region region = memory.region(trace)) {
            return work(region, rows);
        }
    }

    @Test
    void workThatAsksForSomethingElseThanItsDryRunIsStopped() {
        try (Backend backend = new ReferenceBackend();
                PlannedMemory memory = new PlannedMemory(backend)) {
            AllocationTrace trace = trace(new DryRun(backend), 3);
            IllegalStateException wrong = assertThrows(IllegalStateException.class, () -> handles(memory, trace, 4));
            assertTrue(wrong.getMessage().startsWith("request 0 of a step is a tensor [4, 2]"), wrong.getMessage());
            try (Region region = memory.region(trace)) {
                assertThrows(IllegalStateException.class, () -> memory.region(trace), "two at once");
                assertThrows(IllegalStateException.class, () -> region.allocateInts(1));
            }
        }
    }

    @Test
    void aBackendIsAskedAboutItselfAndNeverForWork() {
        try (Backend backend = new ReferenceBackend()) {
            DryRun dryRun = new DryRun(backend);
            assertEquals(backend.precision(), dryRun.backend().precision());
            assertEquals(backend.description(), dryRun.backend().description());
            Tensor huge = dryRun.backend().allocate(1_000_000, 1_000_000);
            dryRun.backend().addToRows(huge, huge, dryRun.backend().allocateInts(3), huge, Optional.of(huge));
            assertEquals(0, dryRun.backend().readDoubles(dryRun.backend().allocate(1, 1))[0]);
        }
    }
}
