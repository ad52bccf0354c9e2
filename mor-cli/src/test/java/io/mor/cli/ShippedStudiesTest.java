package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.cli.StudyFixture.Said;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The studies that come with the program, and the one in the guide, can be planned. */
class ShippedStudiesTest {

    private static final Path ROOT = Path.of(System.getProperty("mor.project.root", ".."));

    @TempDir
    private Path folder;

    private Said plan(Path study) throws IOException {
        Path text = folder.resolve("text.txt");
        if (!Files.exists(text)) {
            Files.writeString(
                    text,
                    "All happy families are alike; every unhappy family is unhappy in its own way.\n".repeat(2000));
        }
        return StudyFixture.mor(
                "ablate",
                study.toString(),
                "--folder",
                folder.resolve("none").toString(),
                "--dry-run",
                "--no-calibration",
                "-s",
                "data.paths=['" + text + "']",
                "-s",
                "data.shards=" + folder.resolve("shards"),
                "-s",
                "data.validation-fraction=0.1");
    }

    @Test
    void eachOfTheFiveStudiesHasAPlanForTwoCoresAndOneForAGpu() throws IOException {
        List<Path> studies;
        try (Stream<Path> files = Files.list(ROOT.resolve("examples/studies"))) {
            studies = files.filter(file -> file.getFileName().toString().matches("\\d-.*\\.yaml"))
                    .sorted()
                    .toList();
        }
        assertEquals(10, studies.size(), studies::toString);
        for (Path study : studies) {
            boolean gpu = study.toString().endsWith("-gpu.yaml");
            Said said = plan(study);
            assertEquals(0, said.code(), () -> study + ": " + said.err());
            assertTrue(
                    said.out().matches("(?s)study [a-z-]+: (1[4-9]|2\\d) trials in .*\nequal: (tokens|model-flops) .*"),
                    () -> study + ": " + said.out());
            String backend = Files.readString(study).contains("base-gpu.yaml") ? "cuda" : "cpu";
            assertEquals(gpu ? "cuda" : "cpu", backend, study::toString);
        }
    }

    @Test
    void theStudyThatShowsWhetherEveryGpuIsUsedHasAPlan() throws IOException {
        Said said = plan(ROOT.resolve("mor-bench/gpu/two-gpus.yaml"));
        assertEquals(0, said.code(), said.err());
        assertTrue(said.out().startsWith("study two-gpus: 4 trials"), said.out());
    }

    @Test
    void theStudyInTheGuideIsWhatTheGuideSays() throws IOException {
        Matcher block = Pattern.compile("<!-- study file -->\\n```yaml\\n(.*?)```", Pattern.DOTALL)
                .matcher(Files.readString(ROOT.resolve("docs/ablations.md")));
        assertTrue(block.find(), "docs/ablations.md has no block marked 'study file'");
        Files.copy(ROOT.resolve("examples/studies/base-cpu.yaml"), folder.resolve("base-cpu.yaml"));
        Path study = Files.writeString(folder.resolve("study.yaml"), block.group(1));
        Said said = plan(study);
        assertEquals(0, said.code(), said.err());
        // 2 x 3 x 2 variants less the 3 that share with alpha 1, three seeds, and two evaluations of each
        assertTrue(said.out().startsWith("study alpha-and-capacity: " + 9 * 3 * 3 + " trials"), said.out());
        assertFalse(said.out().contains("share, seed"), said.out());
    }

    @Test
    void commandsInTheGuideNameStudiesThatAreThere() throws IOException {
        Matcher commands = Pattern.compile("examples/studies/[\\w.-]+\\.yaml")
                .matcher(Files.readString(ROOT.resolve("docs/ablations.md")));
        int found = 0;
        while (commands.find()) {
            assertTrue(Files.exists(ROOT.resolve(commands.group())), commands.group());
            found++;
        }
        assertTrue(found > 0, "no command in docs/ablations.md");
    }
}
