package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.mor.api.tensor.Parameter;
import io.mor.backend.cuda.CudaBackend;
import io.mor.backend.cuda.CudaConfig;
import io.mor.backend.cuda.CudaDoctor;
import io.mor.backend.cuda.CudaMode;
import io.mor.backend.cuda.CudaPrecision;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.data.Batch;
import io.mor.runtime.train.AdamW;
import io.mor.runtime.train.AdamWSettings;
import io.mor.runtime.train.TrainingState;
import io.mor.runtime.train.TrainingStep;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Training steps that are replayed as CUDA graphs, beside those that are launched kernel by kernel; skipped without a GPU. */
class TrainingStepsOnGpuTest {

    private static final int STEPS = 12;

    static Stream<Arguments> settings() {
        return Stream.of(CudaMode.INVARIANT, CudaMode.FAST)
                .flatMap(mode -> Stream.of(Routing.emaCutoff(), Routing.tokenChoice())
                        .map(routing -> Arguments.of(mode, CudaPrecision.F32, routing)));
    }

    @ParameterizedTest
    @MethodSource("settings")
    void replayedStepsHaveTheBitsOfLaunchedOnes(CudaMode mode, CudaPrecision precision, Routing routing) {
        CudaDoctor doctor = CudaDoctor.examine();
        assumeTrue(doctor.usable(), () -> "skipped, no GPU to test on: " + doctor.summary());
        Trained launched = train(new CudaConfig(0, precision, mode, false, ""), routing);
        Trained replayed = train(new CudaConfig(0, precision, mode, true, ""), routing);
        assertTrue(launched.graphUse().startsWith("0 runs replayed"), launched.graphUse());
        // two shapes: the first of two micro-batches and the second, and the optimizer; each seen twice before it is
        // replayed
        assertTrue(replayed.graphs() >= STEPS, replayed.graphUse());
        System.out.println(mode + " " + precision + " " + routing.name() + ": " + replayed.graphUse());
        assertEquals(launched.values().size(), replayed.values().size());
        for (int i = 0; i < launched.values().size(); i++) {
            assertArrayEquals(launched.values().get(i), replayed.values().get(i), "tensor " + i);
        }
    }

    private record Trained(List<double[]> values, String graphUse) {
        int graphs() {
            return Integer.parseInt(graphUse.substring(0, graphUse.indexOf(' ')));
        }
    }

    private static Trained train(CudaConfig config, Routing routing) {
        CudaBackend backend = new CudaBackend(config);
        try (TinyModel tiny = TinyModel.routed(backend, Sharing.MIDDLE_CYCLE, 5, 3, new RecursionWiseCache(), routing);
                AdamW optimizer = new AdamW(tiny.weights, AdamWSettings.PUBLISHED);
                TrainingStep step = new TrainingStep(tiny.model, tiny.weights, optimizer)) {
            TrainingState state = new TrainingState(0, 0, 3, 0);
            List<double[]> values = new ArrayList<>();
            for (int i = 0; i < STEPS; i++) {
                // in between, batches of another shape
                int context = i == STEPS / 2 ? 7 : 9;
                state = step.run(
                        state, STEPS, 0.01 / (i + 1), List.of(batch(2 * i, context), batch(2 * i + 1, context)));
                if (i % 3 == 0) {
                    step.settle();
                    values.add(new double[] {
                        step.figures().crossEntropy(), step.figures().gradientNorm()
                    });
                }
            }
            step.settle();
            for (Parameter parameter : tiny.weights.parameters()) {
                values.add(backend.readDoubles(tiny.weights.value(parameter)));
                values.add(backend.readDoubles(optimizer.secondMoment(parameter)));
            }
            tiny.weights.buffers().forEach(buffer -> values.add(backend.readDoubles(tiny.weights.value(buffer))));
            return new Trained(values, backend.graphUse());
        }
    }

    private static Batch batch(long seed, int context) {
        Random random = new Random(seed);
        int[] ids = random.ints(2L * context, 0, TinyModel.VOCABULARY).toArray();
        int[] targets = random.ints(2L * context, 0, TinyModel.VOCABULARY).toArray();
        return new Batch(2, context, ids, targets);
    }
}
