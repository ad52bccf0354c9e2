package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.config.ExtensionConfig;
import io.mor.runtime.conformance.ConformanceResult;
import io.mor.runtime.experiment.Mor;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The committed golden cases, on every backend that CI has: logits, losses, selections, all gradients, all ways of decoding. */
class GoldenCasesTest {

    @ParameterizedTest
    @ValueSource(strings = {"reference", "cpu"})
    void everyGoldenCaseIsWithinItsTolerances(String backend) throws IOException, URISyntaxException {
        List<Path> cases = GoldenFolder.cases();
        assertEquals(18, cases.size(), "golden cases found");
        try (Mor mor = Watched.mor()) {
            List<ConformanceResult> results = mor.conformance(
                    cases,
                    ExtensionConfig.of(backend),
                    result -> System.out.println(backend + " " + result.name() + " " + result.worst()));
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
