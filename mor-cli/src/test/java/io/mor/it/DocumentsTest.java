package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.experiment.Mor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What the documents say of configs and files is so. */
class DocumentsTest {

    private static final Path ROOT = Path.of(System.getProperty("mor.project.root", ".."));

    @Test
    void theListedDefaultsAreTheDefaults() throws IOException {
        Matcher block = Pattern.compile("<!-- config show -->\\n```yaml\\n(.*?)```", Pattern.DOTALL)
                .matcher(Files.readString(ROOT.resolve("docs/configure.md")));
        assertTrue(block.find(), "docs/configure.md has no block marked 'config show'");
        try (Mor mor = Watched.mor()) {
            assertEquals(
                    ExperimentConfig.builder().build().resolve(mor.catalog()).toYaml(), block.group(1));
        }
    }

    @Test
    void everyExampleConfigIsValid() throws IOException {
        List<Path> examples;
        try (Stream<Path> inside = Files.list(ROOT.resolve("examples/configs"))) {
            examples = inside.filter(path -> path.toString().endsWith(".yaml"))
                    .sorted()
                    .toList();
        }
        assertFalse(examples.isEmpty(), "examples/configs holds no config");
        try (Mor mor = Watched.mor()) {
            for (Path example : examples) {
                assertFalse(
                        ExperimentConfig.load(example)
                                .resolve(mor.catalog())
                                .data()
                                .paths()
                                .isEmpty(),
                        example + " names no text");
            }
        }
    }

    @Test
    void linkedFilesAreThere() throws IOException {
        Pattern link = Pattern.compile("\\]\\((?!http)([^)#]+)");
        for (String document : List.of(
                "README.md",
                "docs/architecture.md",
                "docs/configure.md",
                "docs/ablations.md",
                "docs/reports.md",
                "docs/results.md")) {
            Path file = ROOT.resolve(document);
            Matcher links = link.matcher(Files.readString(file));
            while (links.find()) {
                Path target = file.resolveSibling(links.group(1));
                assertTrue(Files.exists(target), document + " links to " + links.group(1) + ", which is not there");
            }
        }
    }

    @Test
    void testsThatTheConformancePageNamesAreThere() throws IOException {
        Map<String, String> sources = new HashMap<>();
        try (Stream<Path> files = Files.walk(ROOT)) {
            for (Path file : files.filter(path -> path.toString().endsWith(".java")
                            && !path.toString().contains("/target/"))
                    .toList()) {
                sources.put(file.getFileName().toString().replace(".java", ""), Files.readString(file));
            }
        }
        Matcher named =
                Pattern.compile("`(\\w+)#(\\w+)`").matcher(Files.readString(ROOT.resolve("docs/conformance.md")));
        int found = 0;
        while (named.find()) {
            String source = sources.getOrDefault(named.group(1), "");
            assertTrue(source.contains("void " + named.group(2) + "("), named.group());
            found++;
        }
        assertTrue(found >= 30, found + " tests are named");
    }
}
