package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.mor.backend.cuda.CudaDoctor;
import io.mor.runtime.config.ExtensionConfig;
import io.mor.runtime.conformance.ConformanceResult;
import io.mor.runtime.experiment.Mor;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The committed golden cases on an NVIDIA GPU, at the tolerances of single precision, and in bfloat16 at those of that format with the recorded
 * selections forced; skipped without one.
 */
class GoldenCasesOnGpuTest {

    @ParameterizedTest
    @CsvSource({"invariant, f32", "fast, f32", "invariant, bf16", "fast, bf16"})
    void everyGoldenCaseIsWithinItsTolerances(String mode, String precision) throws IOException, URISyntaxException {
        CudaDoctor doctor = CudaDoctor.examine();
        assumeTrue(doctor.usable(), () -> "skipped, no GPU to test on: " + doctor.summary());
        List<Path> cases = GoldenFolder.cases();
        assertEquals(18, cases.size(), "golden cases found");
        try (Mor mor = Mor.open()) {
            ExtensionConfig cuda = new ExtensionConfig("cuda", Map.of("mode", mode, "precision", precision));
            List<ConformanceResult> results = mor.conformance(
                    cases,
                    cuda,
                    result -> System.out.println(
                            "cuda " + mode + " " + precision + " " + result.name() + " " + result.worst()));
            assertTrue(
                    results.stream().allMatch(ConformanceResult::conforms),
                    () -> results.stream()
                            .filter(result -> !result.conforms())
                            .map(result -> result.name() + ": " + result.failures())
                            .toList()
                            .toString());
        }
    }
}
