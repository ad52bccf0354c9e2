package io.mor.metrics.tensorboard;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.metric.MetricSink;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorBoardSinkTest {

    @TempDir
    Path folder;

    @Test
    void eventFilesAreReadBackFieldByField() throws IOException {
        Map<String, Double> values = new LinkedHashMap<>();
        values.put("loss", 1.25);
        values.put("depth/1", Double.NaN);
        for (long first : new long[] {0, 300}) {
            try (TensorBoardSink sink = new TensorBoardSink(
                    new TensorBoardConfig("tb"), () -> Instant.ofEpochSecond(1_700_000_000, 500_000_000))) {
                sink.begin(new MetricSink.Run("test", folder, Map.of(), 0));
                sink.record(first, values);
                sink.record(first + 1, Map.of());
            }
        }
        List<Path> files;
        try (Stream<Path> list = Files.list(folder.resolve("tb"))) {
            files = list.sorted().toList();
        }
        assertEquals(2, files.size(), "one file a session");
        assertEquals(
                "events.out.tfevents.1700000000.00000",
                files.get(0).getFileName().toString());

        byte[] head = Arrays.copyOf(Files.readAllBytes(files.get(0)), 13);
        assertArrayEquals(
                new byte[] {0x18, 0, 0, 0, 0, 0, 0, 0, (byte) 0xa3, 0x7f, 0x4b, 0x22, 0x09},
                head,
                "as TensorFlow begins every file");

        List<byte[]> events = records(Files.readAllBytes(files.get(1)));
        assertEquals(4, events.size());
        ByteBuffer version = little(events.get(0));
        assertEquals(0x09, version.get());
        assertEquals(1_700_000_000.5, version.getDouble());
        assertEquals(0x1a, version.get());
        assertEquals("brain.Event:2", text(version));
        assertEquals(0, version.remaining());

        ByteBuffer start = little(events.get(1)).position(9);
        assertArrayEquals(
                new byte[] {0x10, (byte) 0xac, 0x02, 0x3a, 2, 0x08, 1}, rest(start), "step 300, session log START");

        ByteBuffer scalars = little(events.get(2)).position(9);
        assertArrayEquals(new byte[] {0x10, (byte) 0xac, 0x02, 0x2a, 29}, take(scalars, 5));
        assertEquals(29, scalars.remaining());
        assertArrayEquals(new byte[] {0x0a, 11, 0x0a}, take(scalars, 3));
        assertEquals("loss", text(scalars));
        assertEquals(0x15, scalars.get());
        assertEquals(1.25f, scalars.getFloat());
        assertArrayEquals(new byte[] {0x0a, 14, 0x0a}, take(scalars, 3));
        assertEquals("depth/1", text(scalars));
        assertEquals(0x15, scalars.get());
        assertTrue(Float.isNaN(scalars.getFloat()));
    }

    private static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static String text(ByteBuffer buffer) {
        return new String(take(buffer, buffer.get()), StandardCharsets.UTF_8);
    }

    private static byte[] rest(ByteBuffer buffer) {
        return take(buffer, buffer.remaining());
    }

    private static byte[] take(ByteBuffer buffer, int length) {
        byte[] bytes = new byte[length];
        buffer.get(bytes);
        return bytes;
    }

    private static List<byte[]> records(byte[] file) {
        List<byte[]> records = new ArrayList<>();
        ByteBuffer buffer = little(file);
        while (buffer.hasRemaining()) {
            byte[] length = take(buffer, 8);
            assertEquals(masked(length), buffer.getInt());
            byte[] data = take(buffer, (int) little(length).getLong());
            assertEquals(masked(data), buffer.getInt());
            records.add(data);
        }
        return records;
    }

    private static int masked(byte[] data) {
        CRC32C crc = new CRC32C();
        crc.update(data, 0, data.length);
        long value = crc.getValue();
        return (int) ((((value >>> 15) | (value << 17)) & 0xffffffffL) + 0xa282ead8L);
    }

    @Test
    void aFolderThatCannotBeWrittenIsNamed() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");
        MetricSink.Run bad = new MetricSink.Run("test", file, Map.of(), 0);
        try (MetricSink sink = new TensorBoardSink(new TensorBoardConfig("t"))) {
            assertThrows(IllegalStateException.class, () -> sink.record(0, Map.of()));
            assertTrue(assertThrows(IOException.class, () -> sink.begin(bad))
                    .getMessage()
                    .contains(file.toString()));
        }
    }
}
