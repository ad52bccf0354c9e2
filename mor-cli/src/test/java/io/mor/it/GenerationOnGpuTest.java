package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.mor.backend.cuda.CudaBackend;
import io.mor.backend.cuda.CudaConfig;
import io.mor.backend.cuda.CudaDoctor;
import io.mor.backend.cuda.CudaMode;
import io.mor.backend.cuda.CudaPrecision;
import io.mor.backend.reference.ReferenceBackend;
import io.mor.kvcache.recursionwise.RecursionWiseCache;
import io.mor.runtime.config.Sharing;
import io.mor.runtime.generate.GenerationListener;
import io.mor.runtime.generate.GenerationRequest;
import io.mor.runtime.generate.GenerationResult;
import io.mor.runtime.generate.GenerationService;
import io.mor.runtime.generate.GenerationStream;
import io.mor.runtime.generate.Generator;
import io.mor.runtime.generate.GeneratorOptions;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Decoding steps that are replayed as CUDA graphs give the texts of steps that are not, and those of the reference; skipped without a GPU. */
class GenerationOnGpuTest {

    private static final List<GenerationRequest> REQUESTS = List.of(
            GenerationRequest.of(3, 1, 4, 1, 5).maxTokens(30).build(),
            GenerationRequest.of(2, 7).maxTokens(12).build(),
            GenerationRequest.of(1, 2, 3, 4, 5, 6, 7)
                    .maxTokens(25)
                    .temperature(1)
                    .seed(3)
                    .build());

    static List<Routing> routings() {
        return List.of(Routing.emaCutoff(), Routing.tokenChoice());
    }

    @ParameterizedTest
    @MethodSource("routings")
    void replayedDecodingGivesTheTextsOfLaunchedDecodingAndOfTheReference(Routing routing) {
        CudaDoctor doctor = CudaDoctor.examine();
        assumeTrue(doctor.usable(), () -> "skipped, no GPU to test on: " + doctor.summary());
        List<GenerationResult> expected;
        try (TinyModel tiny = TinyModel.routed(
                new ReferenceBackend(), Sharing.MIDDLE_CYCLE, 5, 3, new RecursionWiseCache(), routing)) {
            expected = generate(tiny);
        }
        for (boolean graphs : new boolean[] {false, true}) {
            CudaBackend backend = new CudaBackend(new CudaConfig(0, CudaPrecision.F32, CudaMode.INVARIANT, graphs, ""));
            try (TinyModel tiny =
                    TinyModel.routed(backend, Sharing.MIDDLE_CYCLE, 5, 3, new RecursionWiseCache(), routing)) {
                List<GenerationResult> results = generate(tiny);
                for (int i = 0; i < REQUESTS.size(); i++) {
                    assertEquals(expected.get(i).ids(), results.get(i).ids(), "request " + i + ", graphs " + graphs);
                    assertEquals(expected.get(i).depths(), results.get(i).depths());
                }
                System.out.println(routing.name() + ", graphs " + graphs + ": " + backend.graphUse());
                assertTrue(graphs != backend.graphUse().startsWith("0 runs replayed"), backend.graphUse());
            }
        }
    }

    /** The service works on a thread of its own, not on the one that opened the card. */
    @ParameterizedTest
    @MethodSource("routings")
    void manyCallersOfTheServiceGetTheTextsThatEachGetsAloneOnTheReference(Routing routing) {
        CudaDoctor doctor = CudaDoctor.examine();
        assumeTrue(doctor.usable(), () -> "skipped, no GPU to test on: " + doctor.summary());
        List<GenerationRequest> requests = IntStream.range(0, 12)
                .mapToObj(i -> GenerationRequest.of(1 + i, 3, 5 + i % 3)
                        .maxTokens(4 + i % 9)
                        .temperature(i % 2)
                        .seed(i)
                        .build())
                .toList();
        List<GenerationResult> expected;
        try (TinyModel tiny = TinyModel.routed(
                        new ReferenceBackend(), Sharing.MIDDLE_CYCLE, 5, 3, new RecursionWiseCache(), routing);
                Generator alone =
                        new Generator(tiny.model, tiny.weights, Optional.empty(), GeneratorOptions.forSequences(1))) {
            expected = requests.stream().map(alone::generate).toList();
        }
        for (boolean graphs : new boolean[] {false, true}) {
            CudaBackend backend = new CudaBackend(new CudaConfig(0, CudaPrecision.F32, CudaMode.INVARIANT, graphs, ""));
            try (TinyModel tiny =
                    TinyModel.routed(backend, Sharing.MIDDLE_CYCLE, 5, 3, new RecursionWiseCache(), routing)) {
                try (GenerationService service = new GenerationService(
                        new Generator(tiny.model, tiny.weights, Optional.empty(), GeneratorOptions.forSequences(3)),
                        new ReentrantLock(),
                        () -> {})) {
                    List<GenerationStream> running = requests.stream()
                            .map(request -> service.start(request, GenerationListener.NONE))
                            .toList();
                    for (int i = 0; i < requests.size(); i++) {
                        GenerationResult result = running.get(i).result().join();
                        assertEquals(expected.get(i).ids(), result.ids(), "request " + i + ", graphs " + graphs);
                        assertEquals(expected.get(i).depths(), result.depths());
                    }
                    System.out.println(routing.name() + ", graphs " + graphs + ": " + service.figures() + ", "
                            + backend.graphUse());
                    assertEquals(3, service.figures().mostSideBySide(), service.figures()::toString);
                }
            }
        }
    }

    private static List<GenerationResult> generate(TinyModel tiny) {
        try (Generator generator =
                new Generator(tiny.model, tiny.weights, Optional.empty(), GeneratorOptions.forSequences(3))) {
            return generator.generate(REQUESTS, GenerationListener.NONE);
        }
    }
}
