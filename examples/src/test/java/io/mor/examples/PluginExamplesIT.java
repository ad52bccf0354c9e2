package io.mor.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The example plugins, built outside the reactor, do their work in the mor command. Two of them are trained by the commands of the guides. */
class PluginExamplesIT {

    @TempDir
    private Path runs;

    @Test
    void aModelIsTrainedAndGeneratesWithABlockOfAStranger() {
        Path folder = ExampleProjects.folder("parallel-block");
        Programs.Result trained = Programs.mor(
                folder,
                "train",
                "parallel.yaml",
                "--plugins",
                "target",
                "-s",
                "runs=" + runs,
                "-s",
                "data.shards=" + runs.resolve("shards"),
                "-s",
                "backend=cpu");
        assertEquals(0, trained.code(), trained::toString);
        assertTrue(trained.out().lines().anyMatch(line -> line.matches("steps +20")), trained::toString);

        Path run = runs.resolve("parallel");
        Programs.Result generated = Programs.mor(
                folder,
                "generate",
                run.toString(),
                "--plugins",
                "target",
                "--prompt",
                "import ",
                "--max-tokens",
                "5",
                "--print-ids");
        assertEquals(0, generated.code(), generated::toString);
        assertEquals(5, generated.lines().getLast().split(" ").length, generated::toString);
    }

    @Test
    void withoutThePluginTheMessageSaysWhatIsThereAndWhereItLooked() {
        Path folder = ExampleProjects.folder("early-exit-router");
        Programs.Result without = Programs.mor(folder, "config", "validate", "early-exit.yaml");
        assertEquals(2, without.code(), without::toString);
        assertTrue(
                without.err().contains("no router 'convergence'")
                        && without.err().contains("expert-choice"),
                without::toString);
    }

    @ParameterizedTest
    @CsvSource({"early-exit-router, 100", "windowed-cache, 100", "parallel-block, 110"})
    void aPluginIsAPageOfCode(String project, int lines) throws IOException {
        try (Stream<Path> files = Files.walk(ExampleProjects.folder(project).resolve("src/main/java"))) {
            List<Path> classes = files.filter(path -> path.toString().endsWith(".java"))
                    .filter(path -> !path.toString().endsWith("Plugin.java"))
                    .toList();
            for (Path each : classes) {
                long count = Files.readAllLines(each).size();
                assertTrue(count <= lines, each + " has " + count + " lines");
            }
        }
    }
}
