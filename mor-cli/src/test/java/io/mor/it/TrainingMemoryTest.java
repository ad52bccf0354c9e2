package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.runtime.MorException;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.data.RandomOffsets;
import io.mor.runtime.data.TokenDataset;
import io.mor.runtime.tape.Recomputation;
import io.mor.runtime.train.AdamWSettings;
import io.mor.runtime.train.Trainer;
import io.mor.runtime.train.TrainingListener;
import io.mor.runtime.train.TrainingMemory;
import io.mor.runtime.train.TrainingPlan;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a run says of a device whose memory is too small. */
class TrainingMemoryTest {

    @TempDir
    private Path folder;

    /** A device with so many bytes left, which holds some itself, and gives no more memory once it is told to. */
    private static final class Device {
        long available = Long.MAX_VALUE;
        boolean full;

        Backend around(Backend backend) {
            return (Backend) Proxy.newProxyInstance(
                    Device.class.getClassLoader(),
                    new Class<?>[] {Backend.class},
                    (proxy, method, arguments) -> switch (method.getName()) {
                        case "availableBytes" -> OptionalLong.of(available);
                        case "ownBytes" -> 1000L;
                        default -> {
                            if (full && method.getName().startsWith("allocate")) {
                                throw new OutOfMemoryError("tensor [3, 5] asks for 60 bytes");
                            }
                            try {
                                yield method.invoke(backend, arguments);
                            } catch (InvocationTargetException e) {
                                throw e.getCause();
                            }
                        }
                    });
        }
    }

    private Trainer trainer(TinyModel tiny, Recomputation recomputation) {
        int[] ids = new int[400];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = i % TinyModel.VOCABULARY;
        }
        return new Trainer(
                tiny.model,
                tiny.weights,
                AdamWSettings.PUBLISHED,
                new RandomOffsets(TokenDataset.of("text", ids, TinyModel.VOCABULARY), 6, 13, 1),
                new TrainingPlan(4, 1, step -> 0.01, 1, 0, 0, 1, recomputation, Set.of()),
                1,
                folder,
                "",
                Map::of,
                new TrainingListener() {});
    }

    private static TinyModel model(Device device) {
        return TinyModel.routed(
                device.around(Watched.backend(new ReferenceBackend())),
                Sharing.MIDDLE_CYCLE,
                5,
                3,
                new RecursionWiseCache(),
                Routing.emaCutoff());
    }

    @Test
    void aStepThatFitsIsNotTalkedAbout() {
        Device device = new Device();
        try (TinyModel tiny = model(device);
                Trainer trainer = trainer(tiny, Recomputation.NONE)) {
            TrainingMemory memory = trainer.memory();
            assertEquals(1000, memory.backend());
            device.available = memory.toCome();
            assertEquals(Optional.empty(), trainer.shortage());
            device.available = memory.toCome() - 1;
            assertTrue(trainer.shortage().isPresent());
        }
    }

    @Test
    void aSmallerBatchThatFitsIsNamedWithTheAccumulationThatKeepsItsSize() {
        Device device = new Device();
        try (TinyModel tiny = model(device);
                Trainer trainer = trainer(tiny, Recomputation.NONE)) {
            device.available = trainer.memory().toCome() * 6 / 10;
            String text = trainer.shortage().orElseThrow();
            assertTrue(text.contains("training.batch: 3 and training.accumulation: 2 would fit"), text);
            device.available = trainer.memory().toCome() * 4 / 10;
            text = trainer.shortage().orElseThrow();
            assertTrue(text.contains("training.batch: 2 and training.accumulation: 3 would fit"), text);
        }
    }

    @Test
    void whoLimitsRecomputationToSomeLayersIsToldToLiftTheLimit() {
        Device device = new Device();
        try (TinyModel tiny = model(device);
                Trainer trainer = trainer(tiny, new Recomputation(Recomputation.Kind.NORMS_AND_GATES, 1))) {
            long wanted = trainer.memory().toCome();
            List<String> advice = new ArrayList<>();
            for (int percent = 99; percent > 0; percent--) {
                device.available = wanted * percent / 100;
                advice.add(trainer.shortage().orElseThrow());
            }
            assertTrue(
                    advice.stream()
                            .anyMatch(text ->
                                    text.contains("; training.recompute: layers, training.recompute-layers: 0 with ")),
                    advice.toString());
        }
    }

    @Test
    void whereNothingFitsTheModelItselfIsTooLarge() {
        Device device = new Device();
        try (TinyModel tiny = model(device);
                Trainer trainer = trainer(tiny, Recomputation.NONE)) {
            device.available = 10;
            String text = trainer.shortage().orElseThrow();
            assertTrue(
                    text.endsWith(
                            "not even training.batch: 1 would fit; shorten model.context or take a smaller model"),
                    text);
        }
    }

    @Test
    void runningOutOfMemorySaysWhatAskedAndWhatWouldFit() {
        Device device = new Device();
        try (TinyModel tiny = model(device);
                Trainer trainer = trainer(tiny, Recomputation.NONE)) {
            device.available = trainer.memory().toCome() * 6 / 10;
            device.full = true;
            MorException failure = assertThrows(MorException.class, () -> trainer.run(() -> false));
            assertTrue(
                    failure.getMessage().startsWith("step 0: tensor [3, 5] asks for 60 bytes; "), failure.getMessage());
            assertTrue(failure.getMessage().contains("training.batch: 3"), failure.getMessage());
            device.full = false;
        }
    }
}
