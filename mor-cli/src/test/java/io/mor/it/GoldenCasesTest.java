package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.config.ExtensionConfig;
import io.mor.runtime.conformance.ConformanceResult;
import io.mor.runtime.experiment.Mor;
import java.io.IOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The committed golden cases, on every backend that CI has: logits, losses, selections, all gradients, all ways of decoding. */
class GoldenCasesTest {

  private static List<Path> cases() throws IOException, URISyntaxException {
    URL inTestkit = Objects.requireNonNull(GoldenCasesTest.class.getResource("/io/mor/testkit/golden/README.md"), "the golden cases are not there");
    Path folder = GoldenFolder.of(inTestkit);
    try (Stream<Path> inside = Files.list(folder)) {
      return inside.filter(Files::isDirectory).sorted().toList();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu"})
  void everyGoldenCaseIsWithinItsTolerances(String backend) throws IOException, URISyntaxException {
    List<Path> cases = cases();
    assertEquals(18, cases.size(), "golden cases found");
    try (Mor mor = Mor.open()) {
      List<ConformanceResult> results =
          mor.conformance(cases, ExtensionConfig.of(backend), result -> System.out.println(backend + " " + result.name() + " " + result.worst()));
      assertTrue(
          results.stream().allMatch(ConformanceResult::conforms),
          () -> results.stream().filter(result -> !result.conforms()).map(result -> result.name() + ": " + result.failures()).toList().toString());
    }
  }
}
