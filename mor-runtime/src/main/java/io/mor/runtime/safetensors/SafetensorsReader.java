package io.mor.runtime.safetensors;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A memory-mapped safetensors file: eight bytes of little-endian header length, a JSON header, the data.
 *
 * <p>Opening checks all of it that the format lets one check: the header, every type and shape, and that the tensors cover the data
 * exactly, without holes or overlaps, so that a truncated file is found before anything is read from it. The mapping ends with {@link
 * #close}; segments used after that throw {@link IllegalStateException}.
 *
 * <p>Thread safety: safe for concurrent use.
 */
public final class SafetensorsReader implements AutoCloseable {

    /** The longest header that is accepted, in bytes; the limit of the format's own library. */
    public static final int MAXIMUM_HEADER_BYTES = 100_000_000;

    private static final String METADATA_KEY = "__metadata__";
    private static final ValueLayout.OfLong LENGTH = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble F64 =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort BITS16 =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong I64 = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();

    private final Path file;
    private final Arena arena;
    private final Map<String, Entry> entries;
    private final Map<String, String> metadata;

    private record Entry(TensorInfo info, MemorySegment data) {}

    private record Range(TensorInfo info, long begin, long end) {}

    private SafetensorsReader(Path file, Arena arena, Map<String, Entry> entries, Map<String, String> metadata) {
        this.file = file;
        this.arena = arena;
        this.entries = entries;
        this.metadata = metadata;
    }

    /**
     * Maps and checks a file.
     *
     * @throws NoSuchFileException if there is none
     * @throws SafetensorsException if it is truncated or not of the format
     */
    public static SafetensorsReader open(Path file) throws IOException {
        Arena arena = Arena.ofShared();
        try {
            SafetensorsReader reader = map(file, arena);
            arena = null;
            return reader;
        } finally {
            if (arena != null) {
                arena.close();
            }
        }
    }

    private static SafetensorsReader map(Path file, Arena arena) throws IOException {
        MemorySegment mapped;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (NoSuchFileException e) {
            NoSuchFileException named =
                    new NoSuchFileException(file.toString(), null, "no such safetensors file; check the path");
            named.initCause(e);
            throw named;
        }
        long size = mapped.byteSize();
        if (size < Long.BYTES) {
            throw new SafetensorsException(
                    file,
                    "truncated: " + size
                            + " bytes, a safetensors file begins with 8 bytes of header length; copy or save it again");
        }
        long headerBytes = mapped.get(LENGTH, 0);
        if (headerBytes < 2 || headerBytes > MAXIMUM_HEADER_BYTES) {
            throw new SafetensorsException(
                    file,
                    "not a safetensors file: its first 8 bytes give a header of " + Long.toUnsignedString(headerBytes)
                            + " bytes (2 to " + MAXIMUM_HEADER_BYTES + " are possible)");
        }
        long dataStart = Long.BYTES + headerBytes;
        if (dataStart > size) {
            throw new SafetensorsException(
                    file,
                    "truncated: its header ends at byte " + dataStart + ", the file at byte " + size
                            + "; copy or save it again");
        }
        byte[] header = mapped.asSlice(Long.BYTES, headerBytes).toArray(ValueLayout.JAVA_BYTE);
        Map<String, String> metadata = new TreeMap<>();
        List<Range> ranges = parse(file, header, metadata);
        return new SafetensorsReader(
                file,
                arena,
                place(file, ranges, mapped.asSlice(dataStart).asReadOnly()),
                Collections.unmodifiableMap(metadata));
    }

    private static List<Range> parse(Path file, byte[] header, Map<String, String> metadata)
            throws SafetensorsException {
        if (header[0] != '{') {
            throw new SafetensorsException(file, "not a safetensors file: its header does not begin with '{'");
        }
        JsonNode root;
        try {
            root = JSON.readTree(header);
        } catch (JacksonException e) {
            throw new SafetensorsException(file, "its header is not valid JSON: " + e.getOriginalMessage(), e);
        }
        List<Range> ranges = new ArrayList<>();
        for (Map.Entry<String, JsonNode> property : root.properties()) {
            if (property.getKey().equals(METADATA_KEY)) {
                parseMetadata(file, property.getValue(), metadata);
            } else {
                ranges.add(parseTensor(file, property.getKey(), property.getValue()));
            }
        }
        return ranges;
    }

    private static void parseMetadata(Path file, JsonNode node, Map<String, String> metadata)
            throws SafetensorsException {
        if (!node.isObject()) {
            throw new SafetensorsException(file, "its " + METADATA_KEY + " is not an object of strings");
        }
        for (Map.Entry<String, JsonNode> entry : node.properties()) {
            if (!entry.getValue().isString()) {
                throw new SafetensorsException(
                        file, "its " + METADATA_KEY + " has a value that is not a string: '" + entry.getKey() + "'");
            }
            metadata.put(entry.getKey(), entry.getValue().stringValue());
        }
    }

    private static Range parseTensor(Path file, String name, JsonNode node) throws SafetensorsException {
        JsonNode typeName = node.path("dtype");
        if (!typeName.isString()) {
            throw new SafetensorsException(file, "tensor '" + name + "' has no dtype");
        }
        TensorType type;
        try {
            type = TensorType.valueOf(typeName.stringValue());
        } catch (IllegalArgumentException e) {
            throw new SafetensorsException(
                    file,
                    "tensor '" + name + "' has the dtype " + typeName.stringValue() + "; known are "
                            + List.of(TensorType.values()),
                    e);
        }
        List<Long> shape = numbers(file, name, "shape", node.path("shape"));
        List<Long> offsets = numbers(file, name, "data_offsets", node.path("data_offsets"));
        if (offsets.size() != 2) {
            throw new SafetensorsException(
                    file, "tensor '" + name + "' has " + offsets.size() + " data_offsets instead of begin and end");
        }
        TensorInfo info;
        try {
            info = new TensorInfo(name, type, shape);
        } catch (IllegalArgumentException e) {
            throw new SafetensorsException(file, e.getMessage(), e);
        }
        long begin = offsets.get(0);
        long end = offsets.get(1);
        if (begin < 0 || end < begin || end - begin != info.bytes()) {
            throw new SafetensorsException(
                    file,
                    "tensor '" + name + "' of " + type + " " + shape + " needs " + info.bytes()
                            + " bytes, its data_offsets are " + offsets);
        }
        return new Range(info, begin, end);
    }

    private static List<Long> numbers(Path file, String name, String key, JsonNode node) throws SafetensorsException {
        if (!node.isArray()) {
            throw new SafetensorsException(file, "tensor '" + name + "' has no " + key);
        }
        List<Long> numbers = new ArrayList<>(node.size());
        for (JsonNode number : node) {
            if (!number.isIntegralNumber() || !number.canConvertToLong()) {
                throw new SafetensorsException(
                        file, "tensor '" + name + "' has a " + key + " that is not a list of whole numbers: " + node);
            }
            numbers.add(number.longValue());
        }
        return numbers;
    }

    private static Map<String, Entry> place(Path file, List<Range> ranges, MemorySegment data)
            throws SafetensorsException {
        List<Range> inFileOrder = new ArrayList<>(ranges);
        inFileOrder.sort(Comparator.comparingLong(Range::begin).thenComparingLong(Range::end));
        Map<String, Entry> entries = new LinkedHashMap<>();
        long position = 0;
        for (Range range : inFileOrder) {
            if (range.begin() != position) {
                throw new SafetensorsException(
                        file,
                        "tensor '" + range.info().name() + "' begins at data byte " + range.begin() + " where "
                                + position + " is due: tensors must follow each other without holes or overlaps");
            }
            position = range.end();
            if (position <= data.byteSize()) {
                entries.put(
                        range.info().name(),
                        new Entry(
                                range.info(),
                                data.asSlice(range.begin(), range.info().bytes())));
            }
        }
        if (position > data.byteSize()) {
            throw new SafetensorsException(
                    file,
                    "truncated: its header describes " + position + " bytes of data, " + data.byteSize()
                            + " are there; copy or save it again");
        }
        if (position < data.byteSize()) {
            throw new SafetensorsException(
                    file,
                    (data.byteSize() - position)
                            + " bytes follow the last tensor: the header and the data are not of one file");
        }
        return Collections.unmodifiableMap(entries);
    }

    /** The file. */
    public Path file() {
        return file;
    }

    /** The names of the tensors, in file order. */
    public Set<String> names() {
        return entries.keySet();
    }

    /** The file's free-form strings, {@code __metadata__}, sorted by key; empty if there are none. */
    public Map<String, String> metadata() {
        return metadata;
    }

    /** Whether there is a tensor of a name. */
    public boolean has(String name) {
        return entries.containsKey(name);
    }

    /**
     * Type and shape of a tensor.
     *
     * @throws IllegalArgumentException if the file has no tensor of the name
     */
    public TensorInfo info(String name) {
        return entry(name).info();
    }

    /** The bytes of a tensor as they are in the file: read-only, little-endian, not necessarily aligned; valid until {@link #close}. */
    public MemorySegment segment(String name) {
        return entry(name).data();
    }

    /**
     * A copy of a tensor as doubles.
     *
     * @throws IllegalArgumentException if there is none of the name, if it is an I64 tensor, or if it has more elements than an array
     */
    public double[] doubles(String name) {
        Entry entry = entry(name);
        double[] values = new double[arrayLength(entry.info())];
        MemorySegment data = entry.data();
        switch (entry.info().type()) {
            case F64 -> MemorySegment.copy(data, F64, 0, values, 0, values.length);
            case F32, F16, BF16, I32, U8 -> {
                for (int i = 0; i < values.length; i++) {
                    values[i] = single(data, entry.info().type(), i);
                }
            }
            case I64 -> throw notA(entry.info(), "doubles", "longs");
        }
        return values;
    }

    /**
     * A copy of a tensor as floats; F64 is rounded to nearest.
     *
     * @throws IllegalArgumentException if there is none of the name, if it is an I64 or I32 tensor, or if it has more elements than an array
     */
    public float[] floats(String name) {
        Entry entry = entry(name);
        float[] values = new float[arrayLength(entry.info())];
        MemorySegment data = entry.data();
        switch (entry.info().type()) {
            case F32 -> MemorySegment.copy(data, F32, 0, values, 0, values.length);
            case F64, F16, BF16, U8 -> {
                for (int i = 0; i < values.length; i++) {
                    values[i] = (float) single(data, entry.info().type(), i);
                }
            }
            case I64, I32 -> throw notA(entry.info(), "floats", "longs");
        }
        return values;
    }

    /**
     * A copy of an integer tensor.
     *
     * @throws IllegalArgumentException if there is none of the name, if it is not an integer tensor, or if it has more elements than an array
     */
    public long[] longs(String name) {
        Entry entry = entry(name);
        long[] values = new long[arrayLength(entry.info())];
        MemorySegment data = entry.data();
        switch (entry.info().type()) {
            case I64 -> MemorySegment.copy(data, I64, 0, values, 0, values.length);
            case I32 -> {
                for (int i = 0; i < values.length; i++) {
                    values[i] = data.get(I32, 4L * i);
                }
            }
            case U8 -> {
                for (int i = 0; i < values.length; i++) {
                    values[i] = Byte.toUnsignedLong(data.get(ValueLayout.JAVA_BYTE, i));
                }
            }
            case F64, F32, F16, BF16 -> throw notA(entry.info(), "longs", "doubles");
        }
        return values;
    }

    /** As {@link #longs}; a value beyond an int is an {@link IllegalArgumentException}. */
    public int[] ints(String name) {
        long[] values = longs(name);
        int[] narrow = new int[values.length];
        for (int i = 0; i < values.length; i++) {
            if (values[i] != (int) values[i]) {
                throw new IllegalArgumentException(file + ": tensor '" + name + "' has " + values[i] + " at " + i
                        + ", more than an int; read it with longs");
            }
            narrow[i] = (int) values[i];
        }
        return narrow;
    }

    private static double single(MemorySegment data, TensorType type, long index) {
        return switch (type) {
            case F64 -> data.get(F64, 8 * index);
            case F32 -> data.get(F32, 4 * index);
            case F16 -> Float.float16ToFloat(data.get(BITS16, 2 * index));
            case BF16 -> TensorType.fromBfloat16(data.get(BITS16, 2 * index));
            case I64 -> data.get(I64, 8 * index);
            case I32 -> data.get(I32, 4 * index);
            case U8 -> Byte.toUnsignedInt(data.get(ValueLayout.JAVA_BYTE, index));
        };
    }

    private Entry entry(String name) {
        Entry entry = entries.get(name);
        if (entry == null) {
            List<String> some = names().stream().limit(20).toList();
            throw new IllegalArgumentException(file + ": no tensor '" + name + "' among its " + names().size()
                    + " tensors " + some + (some.size() < names().size() ? " ..." : ""));
        }
        return entry;
    }

    private int arrayLength(TensorInfo info) {
        if (info.count() > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException(file + ": tensor '" + info.name() + "' has " + info.count()
                    + " elements, more than an array; read its segment");
        }
        return (int) info.count();
    }

    private IllegalArgumentException notA(TensorInfo info, String wanted, String instead) {
        return new IllegalArgumentException(file + ": tensor '" + info.name() + "' is " + info.type()
                + " and cannot be read as " + wanted + " without loss; read it as " + instead);
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
