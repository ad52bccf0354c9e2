package io.mor.runtime.safetensors;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsTest {

    @TempDir
    Path folder;

    @Test
    void everyTypeComesBackAsItWasWritten() throws IOException {
        Path file = folder.resolve("all.safetensors");
        List<TensorInfo> tensors = List.of(
                TensorInfo.of("f64", TensorType.F64, 3),
                TensorInfo.of("f32", TensorType.F32, 1, 3),
                TensorInfo.of("f16", TensorType.F16, 3),
                TensorInfo.of("bf16", TensorType.BF16, 3),
                TensorInfo.of("i64", TensorType.I64, 2),
                TensorInfo.of("i32", TensorType.I32, 2),
                TensorInfo.of("u8", TensorType.U8, 5),
                TensorInfo.of("scalar", TensorType.F32),
                TensorInfo.of("empty", TensorType.F32, 0, 7));
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(file, tensors, Map.of("format", "mor", "äö", "\"quoted\""))) {
            writer.append("u8", MemorySegment.ofArray(new byte[] {0, 1, 127, -128, -1}));
            writer.append("f64", Math.PI, -0.0, Double.NaN);
            writer.append("f32", 1.5f, Float.MIN_VALUE, Float.NEGATIVE_INFINITY);
            writer.append("f16", 1.5f, 65504f, 0x1p-24f);
            writer.append("bf16", 1.5f, -2f, 0x1p100f);
            writer.append("i64", Long.MIN_VALUE, 7L);
            writer.append("i32", Integer.MIN_VALUE);
            writer.append("i32", 7);
            writer.append("scalar", 42f);
            writer.commit();
        }
        try (SafetensorsReader reader = SafetensorsReader.open(file)) {
            assertEquals(Map.of("format", "mor", "äö", "\"quoted\""), reader.metadata());
            assertArrayEquals(new double[] {Math.PI, -0.0, Double.NaN}, reader.doubles("f64"));
            assertArrayEquals(new float[] {1.5f, Float.MIN_VALUE, Float.NEGATIVE_INFINITY}, reader.floats("f32"));
            assertArrayEquals(new float[] {1.5f, 65504f, 0x1p-24f}, reader.floats("f16"));
            assertArrayEquals(new double[] {1.5, -2, 0x1p100}, reader.doubles("bf16"));
            assertArrayEquals(new long[] {Long.MIN_VALUE, 7}, reader.longs("i64"));
            assertArrayEquals(new int[] {Integer.MIN_VALUE, 7}, reader.ints("i32"));
            assertArrayEquals(new int[] {0, 1, 127, 128, 255}, reader.ints("u8"));
            assertArrayEquals(new float[] {42}, reader.floats("scalar"));
            assertEquals(List.of(), reader.info("scalar").shape());
            assertArrayEquals(new float[0], reader.floats("empty"));
            assertEquals(List.of(0L, 7L), reader.info("empty").shape());
            assertThrows(IllegalArgumentException.class, () -> reader.floats("i64"));
            assertThrows(IllegalArgumentException.class, () -> reader.ints("i64"));
            assertTrue(assertThrows(IllegalArgumentException.class, () -> reader.floats("f33"))
                    .getMessage()
                    .contains("f33"));
        }
    }

    @Test
    void theOrderOfCallsAndOfDeclarationsDoesNotChangeABit() throws IOException {
        float[] values = new float[200_003]; // several buffers, prime
        Random random = new Random(1);
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextFloat();
        }
        TensorInfo b = TensorInfo.of("b", TensorType.F32, values.length);
        TensorInfo a = TensorInfo.of("a", TensorType.BF16, 3);
        Path first = folder.resolve("first");
        try (SafetensorsWriter writer = SafetensorsWriter.create(first, List.of(a, b), Map.of("x", "1", "y", "2"))) {
            writer.append("b", values);
            writer.append("a", 1, 2, 3f);
            writer.commit();
        }
        Path second = folder.resolve("second");
        try (SafetensorsWriter writer = SafetensorsWriter.create(second, List.of(b, a), Map.of("y", "2", "x", "1"))) {
            writer.append("a", 1f);
            writer.append("b", Arrays.copyOf(values, 17));
            writer.append("a", 2, 3f);
            writer.append("b", Arrays.copyOfRange(values, 17, values.length));
            writer.commit();
        }
        assertEquals(-1, Files.mismatch(first, second));
        try (SafetensorsReader reader = SafetensorsReader.open(first)) {
            assertArrayEquals(values, reader.floats("b"));
        }
    }

    @Test
    void anUnfinishedFileNeverReplacesTheOldOne() throws IOException {
        Path file = folder.resolve("file");
        Files.writeString(file, "old");
        List<TensorInfo> tensors = List.of(TensorInfo.of("a", TensorType.F32, 2));
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, tensors, Map.of())) {
            writer.append("a", 1f);
            assertTrue(assertThrows(IllegalStateException.class, writer::commit)
                    .getMessage()
                    .contains("'a' lacks 4 of its 8 bytes"));
            assertThrows(IllegalArgumentException.class, () -> writer.append("a", 1f, 2f));
            assertThrows(IllegalArgumentException.class, () -> writer.append("a", 1));
            assertThrows(IllegalArgumentException.class, () -> writer.append("b", 1f));
        }
        assertEquals("old", Files.readString(file));
        try (var files = Files.list(folder)) {
            assertEquals(1, files.count());
        }
    }

    @Test
    void bfloat16RoundsToNearestEvenAndKeepsNaN() {
        assertEquals(1f, TensorType.fromBfloat16(TensorType.toBfloat16(Math.nextUp(1f))));
        assertEquals(1f, TensorType.fromBfloat16(TensorType.toBfloat16(1f + 0x1p-8f)), "tie to even");
        assertEquals(
                1f + 0x1p-6f,
                TensorType.fromBfloat16(TensorType.toBfloat16(1f + 0x1p-7f + 0x1p-8f)),
                "tie to even, upwards");
        assertEquals(Float.POSITIVE_INFINITY, TensorType.fromBfloat16(TensorType.toBfloat16(Float.MAX_VALUE)));
        assertTrue(Float.isNaN(TensorType.fromBfloat16(TensorType.toBfloat16(Float.intBitsToFloat(0x7f800001)))));
        for (int bits = 0; bits < 1 << 16; bits++) {
            float value = TensorType.fromBfloat16((short) bits);
            if (!Float.isNaN(value)) {
                assertEquals((short) bits, TensorType.toBfloat16(value));
            }
        }
    }

    @Test
    void everyTruncationIsFoundWhenOpening() throws IOException {
        Path file = folder.resolve("whole");
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(file, List.of(TensorInfo.of("a", TensorType.F32, 5)), Map.of())) {
            writer.append("a", 1, 2, 3, 4, 5f);
            writer.commit();
        }
        byte[] whole = Files.readAllBytes(file);
        Path cut = folder.resolve("cut");
        for (int length = 0; length < whole.length; length++) {
            Files.write(cut, Arrays.copyOf(whole, length));
            SafetensorsException e = assertThrows(
                    SafetensorsException.class,
                    () -> SafetensorsReader.open(cut).close(),
                    "length " + length);
            assertTrue(e.getMessage().contains("truncated") && e.getMessage().contains(cut.toString()), e.getMessage());
        }
        Files.write(cut, Arrays.copyOf(whole, whole.length + 1));
        assertThrows(
                SafetensorsException.class, () -> SafetensorsReader.open(cut).close());
    }

    @Test
    void aWrongHeaderIsNamed() throws IOException {
        String f32 = "{\"a\":{\"dtype\":\"F32\",\"shape\":";
        assertRefused("[]", 0, "does not begin with");
        assertRefused("{\"a\":", 0, "not valid JSON");
        assertRefused("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__");
        assertRefused("{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "Q4");
        assertRefused(f32 + "[2],\"data_offsets\":[0,4]}}", 4, "needs 8 bytes");
        assertRefused(f32 + "[-1],\"data_offsets\":[0,4]}}", 4, "not a possible size");
        assertRefused(f32 + "[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4, "not a possible size");
        assertRefused(f32 + "[1],\"data_offsets\":[4,8]}}", 8, "where 0 is due");
        assertRefused(f32 + "[1],\"data_offsets\":[0,4,8]}}", 8, "3 data_offsets");
        assertRefused(f32 + "[1.5],\"data_offsets\":[0,4]}}", 4, "whole numbers");
        String overlap = "[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
        assertRefused(f32 + overlap, 4, "overlaps");
        assertRefused(f32 + overlap.replace("\"b\"", "\"a\""), 4, "not valid JSON");
        assertThrows(
                NoSuchFileException.class,
                () -> SafetensorsReader.open(folder.resolve("missing")).close());
        Path huge = folder.resolve("huge");
        Files.write(huge, new byte[] {-1, -1, -1, -1, -1, -1, -1, -1, 0});
        assertThrows(
                SafetensorsException.class, () -> SafetensorsReader.open(huge).close());
    }

    private void assertRefused(String header, int dataBytes, String part) throws IOException {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes = ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(json.length).put(json);
        Path file = folder.resolve("bad");
        Files.write(file, bytes.array());
        SafetensorsException e = assertThrows(
                SafetensorsException.class, () -> SafetensorsReader.open(file).close());
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }

    @Test
    void useAfterCloseFails() throws IOException {
        Path file = folder.resolve("file");
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(file, List.of(TensorInfo.of("a", TensorType.F32, 1)), Map.of())) {
            writer.append("a", 1f);
            writer.commit();
        }
        SafetensorsReader reader = SafetensorsReader.open(file);
        reader.close();
        reader.close();
        assertFalse(reader.names().isEmpty());
        assertThrows(IllegalStateException.class, () -> reader.floats("a"));
    }

    @Test
    void aFileOfThePythonLibraryReads() throws IOException {
        Path golden = Path.of(
                System.getProperty("mor.project.root"),
                "mor-testkit/src/main/resources/io/mor/testkit/golden/vanilla/case.safetensors");
        try (SafetensorsReader reader = SafetensorsReader.open(golden)) {
            assertEquals(List.of(61L, 16L), reader.info("grad/embed.weight").shape());
            assertEquals(48, reader.ints("input_ids").length);
            assertTrue(Arrays.stream(reader.ints("input_ids")).allMatch(id -> id >= 0 && id < 61));
        }
    }
}
