package io.mor.cli;

import io.mor.study.StudyDatabase;
import io.mor.study.StudyResults;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.OptionalLong;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** A small study and the commands about it, in this process. */
final class StudyFixture {

    /** Keys of a config that trains in a moment. */
    private static final String CONFIG = """
            study: small
            config:
              model: {hidden: 16, layers: 5, heads: 2, kv-heads: 2, ffn: 24, context: 16, sharing: middle-cycle, recursions: 3}
              data: {paths: ['%s'], shards: '%s', validation-fraction: 0.1}
              backend: {type: cpu, threads: 1}
              training: {steps: 6, batch: 2, evaluation: {every: 3, batches: 2}, checkpoint: {every: 2}, log: {every: 1}}
              metrics: {sinks: [jsonl]}
            measure: {batches: 4, new-tokens: 4, rounds: 1, sample-tokens: 12}
            """;

    private final Path folder;

    StudyFixture(Path folder) throws IOException {
        this.folder = folder;
        Files.writeString(
                folder.resolve("text.txt"),
                IntStream.range(0, 300)
                        .mapToObj(i -> "line " + i * 7919 % 1013 + "\n")
                        .collect(Collectors.joining()));
    }

    /** A study file: the config above, then what is given. */
    Path study(String more) throws IOException {
        String config = CONFIG.formatted(folder.resolve("text.txt"), folder.resolve("shards"));
        return Files.writeString(folder.resolve("study.yaml"), config + more);
    }

    Path results() {
        return folder.resolve("results");
    }

    /** What a command printed and ended with. */
    record Said(int code, String out, String err) {}

    /** Runs a command. */
    static Said mor(String... arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        try (Console console = new Console(
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8),
                false,
                false,
                false,
                100,
                OptionalLong.empty())) {
            int code = CommandRunner.run(console, arguments);
            return new Said(code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
        }
    }

    /** Runs {@code mor ablate} on a study file, in this process. */
    Said ablate(Path study, String... more) {
        String[] arguments = {
            "ablate", study.toString(), "--folder", results().toString(), "--in-process", "--no-calibration"
        };
        String[] all = Arrays.copyOf(arguments, arguments.length + more.length);
        System.arraycopy(more, 0, all, arguments.length, more.length);
        return mor(all);
    }

    StudyResults read() {
        try (StudyDatabase database = StudyDatabase.read(results())) {
            return database.results();
        }
    }
}
