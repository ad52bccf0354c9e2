package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.api.backend.HostCopy;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.data.Batch;
import io.mor.runtime.train.AdamW;
import io.mor.runtime.train.AdamWSettings;
import io.mor.runtime.train.NumericalFailureException;
import io.mor.runtime.train.TrainingState;
import io.mor.runtime.train.TrainingStep;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Optimizer steps on a backend that works ahead of the host. */
class TrainingStepTest {

    private static final TrainingState BEGIN = new TrainingState(0, 0, 3, 0);
    private static final int STEPS = 100;

    /** A backend far away: what is read later has not arrived until someone waits, and reading within a step is an error. */
    private static final class Far {
        final List<String> events = new ArrayList<>();
        private boolean within;

        Backend around(Backend near) {
            return (Backend) Proxy.newProxyInstance(
                    Far.class.getClassLoader(), new Class<?>[] {Backend.class}, (proxy, method, arguments) -> {
                        switch (method.getName()) {
                            case "repeated" -> {
                                events.add("launch " + arguments[0]);
                                within = true;
                                ((Runnable) arguments[1]).run();
                                within = false;
                                return null;
                            }
                            case "readLater" -> {
                                return later(near.readLater((Tensor) arguments[0]));
                            }
                            case "readDoubles", "readFloats", "readInts" -> assertTrue(!within, "a read within a step");
                            default -> {}
                        }
                        try {
                            return method.invoke(near, arguments);
                        } catch (InvocationTargetException e) {
                            throw e.getCause();
                        }
                    });
        }

        private HostCopy later(HostCopy copy) {
            return new HostCopy() {
                private boolean waited;

                @Override
                public boolean hasArrived() {
                    return waited;
                }

                @Override
                public double[] values() {
                    if (!waited) {
                        events.add("wait");
                    }
                    waited = true;
                    return copy.values();
                }
            };
        }
    }

    static List<Routing> routings() {
        return List.of(Routing.emaCutoff(), Routing.tokenChoice());
    }

    private static Batch batch(long seed) {
        Random random = new Random(seed);
        int[] ids = random.ints(2 * 9, 0, TinyModel.VOCABULARY).toArray();
        int[] targets = random.ints(2 * 9, 0, TinyModel.VOCABULARY).toArray();
        return new Batch(2, 9, ids, targets);
    }

    private static TinyModel model(Backend backend, Routing routing) {
        return TinyModel.routed(backend, Sharing.MIDDLE_CYCLE, 5, 3, new RecursionWiseCache(), routing);
    }

    private static List<double[]> values(TinyModel tiny) {
        List<double[]> values = new ArrayList<>();
        for (Parameter parameter : tiny.weights.parameters()) {
            values.add(tiny.backend.readDoubles(tiny.weights.value(parameter)));
        }
        tiny.weights.buffers().forEach(buffer -> values.add(tiny.backend.readDoubles(tiny.weights.value(buffer))));
        return values;
    }

    private static void assertSame(List<double[]> expected, List<double[]> actual) {
        assertEquals(expected.size(), actual.size());
        for (int i = 0; i < expected.size(); i++) {
            assertArrayEquals(expected.get(i), actual.get(i), "tensor " + i);
        }
    }

    @ParameterizedTest
    @MethodSource("routings")
    void theHostReadsNothingWithinAStepAndWaitsForOneOnlyWhenTheNextHasBegun(Routing routing) {
        Far far = new Far();
        List<double[]> ahead;
        try (TinyModel tiny = model(far.around(Watched.backend(new ReferenceBackend())), routing)) {
            ahead = train(tiny, 4);
        }
        try (TinyModel tiny = model(new ReferenceBackend(), routing)) {
            assertSame(train(tiny, 4), ahead);
        }
        List<String> order = far.events.stream()
                .filter(event -> event.equals("wait") || event.startsWith("launch an optimizer"))
                .map(event -> event.substring(0, 4))
                .toList();
        // two micro-batches and a norm to wait for in each step
        List<String> expected = new ArrayList<>(List.of("laun"));
        for (int step = 1; step < 4; step++) {
            expected.addAll(List.of("laun", "wait", "wait", "wait"));
        }
        expected.addAll(List.of("wait", "wait", "wait"));
        assertEquals(expected, order);
    }

    private static List<double[]> train(TinyModel tiny, int steps) {
        try (AdamW optimizer = new AdamW(tiny.weights, AdamWSettings.PUBLISHED);
                TrainingStep step = new TrainingStep(tiny.model, tiny.weights, optimizer)) {
            TrainingState state = BEGIN;
            for (int i = 0; i < steps; i++) {
                state = step.run(state, STEPS, 0.01, List.of(batch(2 * i), batch(2 * i + 1)));
            }
            step.settle();
            assertTrue(step.figures().crossEntropy() > 0);
            assertTrue(step.figures().gradientNorm() > 0);
            return values(tiny);
        }
    }

    @ParameterizedTest
    @MethodSource("routings")
    void theFirstMicroBatchSetsGradientsWhateverTheirMemoryHolds(Routing routing) {
        try (TinyModel tiny = model(new ReferenceBackend(), routing);
                TinyModel other = model(new ReferenceBackend(), routing);
                AdamW optimizer = new AdamW(tiny.weights, AdamWSettings.PUBLISHED);
                TrainingStep step = new TrainingStep(tiny.model, tiny.weights, optimizer)) {
            tiny.weights
                    .parameters()
                    .forEach(parameter -> tiny.backend.fill(tiny.weights.gradient(parameter), Double.NaN));
            step.run(BEGIN, STEPS, 0.01, List.of(batch(0), batch(1)));
            step.settle();
            assertSame(train(other, 1), values(tiny));
        }
    }

    @ParameterizedTest
    @MethodSource("routings")
    void aStepThatFailsChangesNoWeightHoweverLateTheHostLearnsOfIt(Routing routing) {
        Far far = new Far();
        try (TinyModel tiny = model(far.around(Watched.backend(new ReferenceBackend())), routing);
                AdamW optimizer = new AdamW(tiny.weights, AdamWSettings.PUBLISHED);
                TrainingStep step = new TrainingStep(tiny.model, tiny.weights, optimizer)) {
            Tensor broken = tiny.weights.value(tiny.model.head());
            double[] head = tiny.backend.readDoubles(broken);
            head[head.length / 2] = Double.NaN;
            tiny.backend.write(broken, head);
            List<double[]> before = parameters(tiny);
            TrainingState state = step.run(BEGIN, STEPS, 0.01, List.of(batch(1)));
            head[head.length / 2] = 0.25;
            tiny.backend.write(broken, head); // the step after would be fine, and must not happen either
            NumericalFailureException failure = assertThrows(
                    NumericalFailureException.class, () -> step.run(state, STEPS, 0.01, List.of(batch(2))));
            assertTrue(failure.getMessage().startsWith("step 0: "), failure.getMessage());
            tiny.backend.write(broken, before.getFirst());
            assertSame(before, parameters(tiny));
        }
    }

    private static List<double[]> parameters(TinyModel tiny) {
        List<double[]> values = new ArrayList<>();
        values.add(tiny.backend.readDoubles(tiny.weights.value(tiny.model.head())));
        for (Parameter parameter : tiny.weights.parameters()) {
            values.add(tiny.backend.readDoubles(tiny.weights.value(parameter)));
        }
        return values;
    }
}
