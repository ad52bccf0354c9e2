package io.mor.runtime.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.metric.MetricSink;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricSinksTest {

    @TempDir
    Path folder;

    private MetricSink.Run run() {
        return new MetricSink.Run("test", folder, Map.of(), 0);
    }

    private void lines(long... steps) throws IOException {
        try (JsonLinesSink sink = new JsonLinesSink(new JsonLinesSink.Config("metrics.jsonl"))) {
            sink.begin(run());
            for (long step : steps) {
                sink.record(step, Map.of("loss", step + 0.5));
            }
        }
    }

    private Path metrics() {
        return folder.resolve("metrics.jsonl");
    }

    private static String line(int step) {
        return "{\"step\":" + step + ",\"loss\":" + step + ".5}";
    }

    @Test
    void aStepIsALineOfJsonInTheGivenOrder() throws IOException {
        Map<String, Double> values = new LinkedHashMap<>();
        values.put("z", 1e-9);
        values.put("a", Double.NaN);
        values.put("count", 12.0);
        values.put("large", 1e300);
        try (JsonLinesSink sink = new JsonLinesSink(new JsonLinesSink.Config("metrics.jsonl"))) {
            assertThrows(IllegalStateException.class, () -> sink.record(0, values));
            sink.begin(run());
            sink.record(3, values);
            assertEquals(
                    "{\"step\":3,\"z\":1.0E-9,\"a\":null,\"count\":12,\"large\":1.0E300}\n",
                    Files.readString(metrics()),
                    "before close");
        }
    }

    @Test
    void aResumedRunReplacesTheLinesFromItsStepOn() throws IOException {
        lines(0, 10, 20, 30);
        lines(20, 30, 40);
        assertEquals(List.of(line(0), line(10), line(20), line(30), line(40)), Files.readAllLines(metrics()));
        lines();
        assertEquals(5, Files.readAllLines(metrics()).size(), "without figures nothing is lost");
        lines(0);
        assertEquals(List.of(line(0)), Files.readAllLines(metrics()), "a run from the start");
    }

    @Test
    void aHalfWrittenLineIsCutOff() throws IOException {
        lines(0, 10);
        Files.writeString(metrics(), "{\"step\":20,\"lo", StandardOpenOption.APPEND);
        lines(30);
        assertEquals(List.of(line(0), line(10), line(30)), Files.readAllLines(metrics()));
    }

    @Test
    void aFolderThatCannotBeWrittenIsNamed() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");
        MetricSink.Run bad = new MetricSink.Run("test", file, Map.of(), 0);
        try (MetricSink sink = new JsonLinesSink(new JsonLinesSink.Config("m"))) {
            assertTrue(assertThrows(IOException.class, () -> sink.begin(bad))
                    .getMessage()
                    .contains(file.toString()));
        }
    }
}
