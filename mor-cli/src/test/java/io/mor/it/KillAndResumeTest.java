package io.mor.it;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A run that is killed at random moments and resumed ends with the same bytes as one that was left alone. */
class KillAndResumeTest {

    private static final int STEPS = 40;

    @TempDir
    Path folder;

    @Test
    void killedAndResumedTrainingEndsWithTheSameBytes() throws IOException, InterruptedException {
        int kills = System.getProperty("mor.test.profile", "quick").equals("full") ? 20 : 3;
        long seed = Long.getLong("mor.test.seed", System.nanoTime());
        System.out.println(
                "kill and resume: " + kills + " kills, seed " + seed + " (repeat with -Dmor.test.seed=" + seed + ")");
        Random random = new Random(seed);
        Path text = folder.resolve("text.txt");
        Files.writeString(
                text,
                IntStream.range(0, 4000)
                        .mapToObj(i -> "line " + i * 7919 % 1013 + "\n")
                        .collect(Collectors.joining()));

        Path undisturbed = config("undisturbed", text);
        long begun = System.nanoTime();
        assertEquals(0, start(undisturbed, "undisturbed").waitFor());
        long duration = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun);

        int killed = 0;
        for (int round = 0; killed < kills; round++) {
            Path config = config("disturbed-" + round, text);
            boolean finished = false;
            while (!finished) {
                Process process = start(config, "disturbed-" + round);
                boolean kill = killed < kills;
                if (kill && !process.waitFor(random.nextLong(duration), TimeUnit.MILLISECONDS)) {
                    process.destroyForcibly().waitFor();
                    killed++;
                } else {
                    assertEquals(0, process.waitFor());
                    finished = true;
                }
            }
            assertSameRun("disturbed-" + round);
        }
    }

    private void assertSameRun(String name) throws IOException {
        String last = "checkpoints/step-%08d".formatted(STEPS);
        for (String file : List.of("model.safetensors", "optimizer.safetensors")) {
            assertArrayEquals(
                    Files.readAllBytes(
                            folder.resolve("undisturbed").resolve(last).resolve(file)),
                    Files.readAllBytes(folder.resolve(name).resolve(last).resolve(file)),
                    name + ": " + file);
        }
        List<String> lines = Files.readAllLines(folder.resolve(name).resolve("metrics.jsonl"));
        assertTrue(
                lines.size() >= STEPS, () -> "a line of figures for each of " + STEPS + " steps, not " + lines.size());
    }

    private Path config(String name, Path text) throws IOException {
        Path file = folder.resolve(name + ".yaml");
        Files.writeString(file, """
        name: %s
        seed: 7
        runs: %s
        model: {hidden: 32, layers: 8, heads: 2, kv-heads: 2, ffn: 48, context: 32, sharing: middle-cycle, recursions: 3, dropout: 0.1}
        router: {type: expert-choice}
        backend: {type: cpu, threads: 2}
        data: {paths: ['%s'], shards: '%s'}
        training:
          steps: %d
          batch: 4
          accumulation: 2
          evaluation: {every: 10, batches: 2}
          checkpoint: {every: 3, keep: 2}
          log: {every: 1}
        """.formatted(name, folder, text, folder.resolve("shards"), STEPS));
        return file;
    }

    private Process start(Path config, String name) throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--add-modules",
                        "jdk.incubator.vector",
                        "-cp",
                        System.getProperty("java.class.path"),
                        TrainProcess.class.getName(),
                        config.toString(),
                        folder.resolve(name).toString())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(
                        folder.resolve(name + ".log").toFile()))
                .start();
    }
}
