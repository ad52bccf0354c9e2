package io.mor.runtime.metrics;

import io.mor.api.metric.MetricSink;
import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import jakarta.inject.Inject;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * One JSON object a line and step: {@code {"step":10,"loss":4.17,...}}. What is not finite is written as {@code null}, which JSON has.
 *
 * <p>A resumed run goes on in the same file: with the first figures, lines of that step and later are cut off, and with them a line that
 * was
 * only half written when the run was killed. Every line is one write, so that the file can be followed while the run goes on.
 */
public final class JsonLinesSink implements MetricSink {

    private static final JsonMapper JSON = new JsonMapper();

    private final String name;
    private Optional<Output> output = Optional.empty();

    private static final class Output {
        final Path file;
        final FileChannel channel;
        boolean resumed;

        Output(Path file, FileChannel channel) {
            this.file = file;
            this.channel = channel;
        }
    }

    /**
     * What can be configured.
     *
     * @param file in the run folder
     */
    public record Config(
            @Help("name of the file in the run folder") @DefaultValue("metrics.jsonl")
            String file) {}

    /** A sink. */
    @Inject
    public JsonLinesSink(Config config) {
        this.name = Objects.requireNonNull(config, "config is null").file();
    }

    @Override
    public void begin(Run run) throws IOException {
        close();
        Path file = run.folder().resolve(name);
        try {
            Files.createDirectories(file.toAbsolutePath().getParent());
            output = Optional.of(
                    new Output(file, FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)));
        } catch (IOException e) {
            throw new IOException(
                    "metrics cannot be written to " + file + ": " + e + "; check that the run folder can be written",
                    e);
        }
    }

    @Override
    public void record(long step, Map<String, Double> values) throws IOException {
        Output out = output.orElseThrow(() -> new IllegalStateException("a metric sink begins before it records"));
        ObjectNode line = JSON.createObjectNode().put("step", step);
        values.forEach((key, value) -> put(line, key, value));
        ByteBuffer bytes = ByteBuffer.wrap((JSON.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8));
        try {
            if (!out.resumed) {
                out.channel.truncate(endBefore(out.file, step));
                out.channel.position(out.channel.size());
                out.resumed = true;
            }
            while (bytes.hasRemaining()) {
                out.channel.write(bytes);
            }
        } catch (IOException e) {
            throw new IOException(
                    "metrics cannot be written to " + out.file + ": " + e.getMessage()
                            + "; check the space on the disk",
                    e);
        }
    }

    private static void put(ObjectNode line, String key, double value) {
        if (!Double.isFinite(value)) {
            line.putNull(key);
        } else if (value == Math.rint(value) && Math.abs(value) < 1L << 53) {
            line.put(key, (long) value); // counters without a fraction
        } else {
            line.put(key, value);
        }
    }

    /** The length of the complete lines of steps before one. */
    private static long endBefore(Path file, long step) throws IOException {
        int end = 0;
        byte[] all = Files.readAllBytes(file);
        for (int at = 0; at < all.length; at++) {
            if (all[at] == '\n') {
                if (!isBefore(new String(all, end, at - end, StandardCharsets.UTF_8), step)) {
                    return end;
                }
                end = at + 1;
            }
        }
        return end;
    }

    private static boolean isBefore(String line, long step) {
        try {
            JsonNode recorded = JSON.readTree(line).path("step");
            return recorded.isIntegralNumber() && recorded.longValue() < step;
        } catch (JacksonException e) {
            return false;
        }
    }

    @Override
    public void close() throws IOException {
        if (output.isPresent()) {
            output.get().channel.close();
            output = Optional.empty();
        }
    }
}
