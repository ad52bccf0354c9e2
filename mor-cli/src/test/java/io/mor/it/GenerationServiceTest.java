package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.tensor.Parameter;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.generate.Ending;
import io.mor.runtime.generate.GeneratedToken;
import io.mor.runtime.generate.GenerationException;
import io.mor.runtime.generate.GenerationListener;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.GenerationService;
import io.mor.runtime.generate.GenerationStream;
import io.mor.runtime.generate.Generator;
import io.mor.runtime.generate.GeneratorOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Many callers generate at once from one model. */
class GenerationServiceTest {

    private static final int ROOM = 3;

    private final ReentrantLock device = new ReentrantLock();
    private final AtomicInteger closings = new AtomicInteger();
    private TinyModel tiny;
    private GenerationService service;

    @BeforeEach
    void open() {
        tiny = TinyModel.routed(
                new ReferenceBackend(), Sharing.MIDDLE_CYCLE, 5, 3, new RecursionWiseCache(), Routing.emaCutoff());
        service = new GenerationService(
                new Generator(tiny.model, tiny.weights, Optional.empty(), GeneratorOptions.forSequences(ROOM)),
                device,
                closings::incrementAndGet);
    }

    @AfterEach
    void close() {
        service.close();
        assertEquals(1, closings.get());
        assertTrue(
                Thread.getAllStackTraces().keySet().stream()
                        .noneMatch(thread -> thread.getName().startsWith("mor ")),
                "a thread is left");
        tiny.close();
    }

    private static GenerationRequest request(int seed) {
        int[] prompt = new int[1 + seed % 5];
        for (int i = 0; i < prompt.length; i++) {
            prompt[i] = (seed * 7 + i * 3) % TinyModel.VOCABULARY;
        }
        return GenerationRequest.of(prompt)
                .maxTokens(3 + seed % 11)
                .temperature(seed % 2)
                .seed(seed)
                .build();
    }

    private GenerationResult alone(GenerationRequest request) {
        device.lock(); // the service may be at the end of a step
        try (Generator generator =
                new Generator(tiny.model, tiny.weights, Optional.empty(), GeneratorOptions.forSequences(1))) {
            return generator.generate(request);
        } finally {
            device.unlock();
        }
    }

    private static List<Object> outcome(GenerationResult result) {
        return List.of(result.ids(), result.ending(), result.depths(), result.promptDepths(), result.kvEntries());
    }

    /** Runs something on a thread of its own. */
    private static <T> CompletableFuture<T> apart(java.util.function.Supplier<T> work) {
        CompletableFuture<T> result = new CompletableFuture<>();
        Thread.ofPlatform().start(() -> {
            try {
                result.complete(work.get());
            } catch (RuntimeException | Error e) {
                result.completeExceptionally(e);
            }
        });
        return result;
    }

    @Test
    void manyCallersShareStepsAndEachGetsWhatItWouldGetAlone() {
        int callers = 17;
        List<List<Object>> expected = new ArrayList<>();
        for (int i = 0; i < callers; i++) {
            expected.add(outcome(alone(request(i))));
        }
        List<CompletableFuture<GenerationResult>> results = new ArrayList<>();
        device.lock(); // so that they come while a step is under way
        try {
            for (int i = 0; i < callers; i++) {
                GenerationRequest request = request(i);
                results.add(apart(() -> service.generate(request)));
            }
        } finally {
            device.unlock();
        }
        for (int i = 0; i < callers; i++) {
            assertEquals(expected.get(i), outcome(results.get(i).join()), "caller " + i);
        }
        GenerationService.Figures figures = service.figures();
        long tokens =
                results.stream().mapToLong(result -> result.join().ids().size()).sum();
        assertEquals(tokens, figures.tokens());
        assertEquals(ROOM, figures.mostSideBySide());
        assertTrue(figures.tokensPerStep() > 1.5, figures.toString());
    }

    @Test
    void tokensAreStreamedOnTheCallersThreadInOrder() {
        List<Integer> ids = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        GenerationResult result = service.generate(request(8), token -> {
            assertEquals(0, token.sequence());
            assertEquals(ids.size(), token.index());
            ids.add(token.id());
            threads.add(Thread.currentThread());
        });
        assertEquals(result.ids(), ids);
        assertEquals(
                List.of(Thread.currentThread()), threads.stream().distinct().toList());
    }

    @Test
    void aStartedStreamRunsOnAThreadOfItsOwnAndCompletes() {
        AtomicReference<Thread> thread = new AtomicReference<>();
        GenerationStream stream = service.start(request(8), token -> thread.set(Thread.currentThread()));
        assertEquals(outcome(alone(request(8))), outcome(stream.result().join()));
        assertNotSame(Thread.currentThread(), thread.get());
    }

    @Test
    void aListenerThatThrowsEndsItsOwnGenerationAlone() {
        IllegalStateException thrown = new IllegalStateException("enough");
        CompletableFuture<GenerationResult> other = apart(() -> service.generate(request(10)));
        assertSame(
                thrown,
                assertThrows(
                        IllegalStateException.class,
                        () -> service.generate(request(9), token -> {
                            throw thrown;
                        })));
        assertEquals(outcome(alone(request(10))), outcome(other.join()));
    }

    @Test
    void aListenerCanCancel() {
        GenerationListener twoTokens = new GenerationListener() {
            private int seen;

            @Override
            public void token(GeneratedToken token) {
                seen++;
            }

            @Override
            public boolean isCancelled(int sequence) {
                return seen >= 2;
            }
        };
        GenerationRequest longest = GenerationRequest.of(1).build();
        GenerationResult result = service.generate(longest, twoTokens);
        assertEquals(Ending.CANCELLED, result.ending());
        assertTrue(result.ids().size() >= 2 && result.ids().size() < TinyModel.CONTEXT, result.toString());
    }

    @Test
    void aStreamCanBeCancelledAlsoWhileItWaits() {
        device.lock();
        GenerationStream stream;
        try {
            stream = service.start(request(5), GenerationListener.NONE);
            stream.cancel();
        } finally {
            device.unlock();
        }
        assertEquals(Ending.CANCELLED, stream.result().join().ending());
    }

    @Test
    void anInterruptedCallerGetsWhatThereIsAndStaysInterrupted() {
        Thread.currentThread().interrupt();
        GenerationResult result = service.generate(GenerationRequest.of(1).build());
        assertTrue(Thread.interrupted());
        assertEquals(Ending.CANCELLED, result.ending());
    }

    @Test
    void aRequestThatDoesNotFitIsRefusedAtOnceAndDisturbsNobody() {
        CompletableFuture<GenerationResult> other = apart(() -> service.generate(request(10)));
        UsageException refused = assertThrows(
                UsageException.class,
                () -> service.generate(
                        GenerationRequest.of(TinyModel.VOCABULARY).build()));
        assertTrue(refused.getMessage().contains("the model's ids are 0 to"), refused.getMessage());
        assertThrows(
                UsageException.class,
                () -> service.start(GenerationRequest.of(-1).build(), GenerationListener.NONE));
        assertEquals(outcome(alone(request(10))), outcome(other.join()));
    }

    @Test
    void brokenNumbersFailWhoIsConcernedAndTheServiceGoesOn() {
        Parameter norm = tiny.weights.parameters().stream()
                .filter(parameter -> parameter.name().equals("norm.weight"))
                .findFirst()
                .orElseThrow();
        double[] values = tiny.backend.readDoubles(tiny.weights.value(norm)); // nothing runs yet
        double[] broken = values.clone();
        broken[0] = Double.NaN;
        tiny.backend.write(tiny.weights.value(norm), broken);
        GenerationException failure = assertThrows(GenerationException.class, () -> service.generate(request(3)));
        assertTrue(failure.getMessage().contains("not finite"), failure.getMessage());
        device.lock();
        try {
            tiny.backend.write(tiny.weights.value(norm), values);
        } finally {
            device.unlock();
        }
        assertEquals(outcome(alone(request(3))), outcome(service.generate(request(3))));
    }

    @Test
    void closingEndsWhoRunsAndWhoWaitsAndRefusesWhoComes() throws InterruptedException {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch closing = new CountDownLatch(1);
        GenerationListener slow = token -> {
            begun.countDown();
            try {
                closing.await();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        };
        device.lock();
        List<CompletableFuture<GenerationResult>> waiting = new ArrayList<>();
        try {
            waiting.add(service.start(request(10), slow).result());
            for (int i = 0; i < 2 * ROOM; i++) {
                waiting.add(
                        service.start(request(10 + i), GenerationListener.NONE).result());
            }
            Thread closer = Thread.ofPlatform().start(service::close);
            while (closer.getState() != Thread.State.WAITING) {
                Thread.onSpinWait(); // for the worker, who waits for the device
            }
        } finally {
            device.unlock();
        }
        closing.countDown();
        service.close();
        long failed = waiting.stream()
                .filter(CompletableFuture::isCompletedExceptionally)
                .count();
        assertEquals(waiting.size(), failed);
        CompletionException failure = assertThrows(CompletionException.class, waiting.getLast()::join);
        assertInstanceOf(IllegalStateException.class, failure.getCause());
        assertThrows(IllegalStateException.class, () -> service.generate(request(1)));
    }

    @Test
    void aListenerCannotCloseTheServiceThatCallsIt() {
        GenerationStream stream = service.start(request(1), token -> service.close());
        CompletionException failure =
                assertThrows(CompletionException.class, () -> stream.result().join());
        assertTrue(failure.getCause().getMessage().contains("another thread"), failure.toString());
        assertFalse(service.generate(request(1)).ids().isEmpty());
    }
}
