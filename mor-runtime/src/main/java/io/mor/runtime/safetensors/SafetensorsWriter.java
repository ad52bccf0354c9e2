package io.mor.runtime.safetensors;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes a safetensors file without holding it in memory: all tensors are declared first, then their data is appended, tensor by tensor in
 * any order and in pieces of any length.
 *
 * <p>The same declarations and data give the same bytes, whatever the order of the calls: tensors lie by element size (largest first, so
 * that all are aligned) and name, {@code __metadata__} is sorted, the header is padded to eight bytes. The file appears under its name only
 * with {@link #commit}: complete, forced to disk, in one atomic rename. {@link #close} without a commit leaves whatever was there before.
 *
 * <p>Thread safety: one thread.
 */
public final class SafetensorsWriter implements AutoCloseable {

    private static final int BUFFER_BYTES = 1 << 18;
    private static final JsonMapper JSON = new JsonMapper();

    private final Path file;
    private final Path temporary;
    private final FileChannel channel;
    private final Map<String, Slot> slots;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private boolean committed;

    private static final class Slot {
        final TensorInfo info;
        final long end;
        long position;

        Slot(TensorInfo info, long begin) {
            this.info = info;
            this.position = begin;
            this.end = begin + info.bytes();
        }
    }

    private SafetensorsWriter(Path file, Path temporary, FileChannel channel, Map<String, Slot> slots) {
        this.file = file;
        this.temporary = temporary;
        this.channel = channel;
        this.slots = slots;
    }

    /**
     * Begins a file.
     *
     * @param file where it is to appear; its folder must exist
     * @param tensors all tensors that will be written
     * @param metadata free-form strings
     * @throws IllegalArgumentException if two tensors have one name
     */
    public static SafetensorsWriter create(Path file, Collection<TensorInfo> tensors, Map<String, String> metadata)
            throws IOException {
        List<TensorInfo> ordered = tensors.stream()
                .sorted(Comparator.comparingInt(
                                (TensorInfo info) -> -info.type().bytes())
                        .thenComparing(TensorInfo::name))
                .toList();
        ByteBuffer header = header(ordered, metadata);
        Map<String, Slot> slots = new LinkedHashMap<>();
        long position = header.remaining();
        for (TensorInfo info : ordered) {
            Slot slot = new Slot(info, position);
            if (slots.put(info.name(), slot) != null || info.name().equals("__metadata__")) {
                throw new IllegalArgumentException(
                        file + ": two tensors are named '" + info.name() + "', or its name is reserved");
            }
            position = slot.end;
        }
        Path temporary = file.resolveSibling(file.getFileName() + ".tmp");
        FileChannel channel = FileChannel.open(
                temporary, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE);
        SafetensorsWriter writer = new SafetensorsWriter(file, temporary, channel, slots);
        try {
            writer.writeFully(header, 0);
        } catch (IOException e) {
            writer.close();
            throw e;
        }
        return writer;
    }

    private static ByteBuffer header(List<TensorInfo> ordered, Map<String, String> metadata) {
        ObjectNode root = JSON.createObjectNode();
        if (!metadata.isEmpty()) {
            ObjectNode strings = root.putObject("__metadata__");
            new TreeMap<>(metadata).forEach(strings::put);
        }
        long offset = 0;
        for (TensorInfo info : ordered) {
            ObjectNode tensor = root.putObject(info.name());
            tensor.put("dtype", info.type().name());
            ArrayNode shape = tensor.putArray("shape");
            info.shape().forEach(shape::add);
            tensor.putArray("data_offsets").add(offset).add(offset + info.bytes());
            offset += info.bytes();
        }
        byte[] json = JSON.writeValueAsString(root).getBytes(StandardCharsets.UTF_8);
        int padded = (json.length + 7) & -8;
        ByteBuffer header = ByteBuffer.allocate(Long.BYTES + padded).order(ByteOrder.LITTLE_ENDIAN);
        header.putLong(padded).put(json);
        while (header.hasRemaining()) {
            header.put((byte) ' ');
        }
        return header.flip();
    }

    /**
     * Appends the next bytes of a tensor, little-endian as they will be in the file.
     *
     * @throws IllegalArgumentException if the tensor is not declared, or if it would become longer than declared
     */
    public void append(String name, MemorySegment bytes) throws IOException {
        Slot slot = slot(name);
        for (long done = 0; done < bytes.byteSize(); ) {
            int length = (int) Math.min(BUFFER_BYTES, bytes.byteSize() - done);
            buffer.clear().limit(length);
            MemorySegment.copy(bytes, done, MemorySegment.ofBuffer(buffer), 0, length);
            drain(slot);
            done += length;
        }
    }

    /** Appends the next elements of an F32, F64, F16 or BF16 tensor; narrower types round to nearest even. */
    public void append(String name, float... values) throws IOException {
        Slot slot = slot(name);
        requireFloating(slot.info);
        buffer.clear();
        for (float value : values) {
            switch (slot.info.type()) {
                case F64 -> buffer.putDouble(value);
                case F32 -> buffer.putFloat(value);
                case F16 -> buffer.putShort(Float.floatToFloat16(value));
                case BF16 -> buffer.putShort(TensorType.toBfloat16(value));
                case I64, I32, U8 -> throw new AssertionError(slot.info);
            }
            drainIfFull(slot);
        }
        drainRest(slot);
    }

    /** Appends the next elements of an F64 tensor. */
    public void append(String name, double... values) throws IOException {
        Slot slot = slot(name);
        require(slot.info, TensorType.F64);
        buffer.clear();
        for (double value : values) {
            buffer.putDouble(value);
            drainIfFull(slot);
        }
        drainRest(slot);
    }

    /** Appends the next elements of an I64 tensor. */
    public void append(String name, long... values) throws IOException {
        Slot slot = slot(name);
        require(slot.info, TensorType.I64);
        buffer.clear();
        for (long value : values) {
            buffer.putLong(value);
            drainIfFull(slot);
        }
        drainRest(slot);
    }

    /** Appends the next elements of an I32 tensor. */
    public void append(String name, int... values) throws IOException {
        Slot slot = slot(name);
        require(slot.info, TensorType.I32);
        buffer.clear();
        for (int value : values) {
            buffer.putInt(value);
            drainIfFull(slot);
        }
        drainRest(slot);
    }

    /**
     * Puts the complete file in its place: forced to disk, then renamed over whatever had its name.
     *
     * @throws IllegalStateException if a tensor lacks data, naming it
     */
    public void commit() throws IOException {
        for (Slot slot : slots.values()) {
            if (slot.position != slot.end) {
                throw new IllegalStateException(file + ": tensor '" + slot.info.name() + "' lacks "
                        + (slot.end - slot.position) + " of its " + slot.info.bytes() + " bytes");
            }
        }
        channel.force(true);
        channel.close();
        try {
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            throw new IOException(file + ": this file system cannot rename atomically; save to another one", e);
        }
        committed = true;
    }

    /** Ends the writer; without {@link #commit} the data written so far is discarded. */
    @Override
    public void close() throws IOException {
        if (!committed) {
            channel.close();
            Files.deleteIfExists(temporary);
        }
    }

    private Slot slot(String name) {
        Slot slot = slots.get(name);
        if (slot == null) {
            throw new IllegalArgumentException(file + ": tensor '" + name + "' was not declared");
        }
        return slot;
    }

    private void require(TensorInfo info, TensorType type) {
        if (info.type() != type) {
            throw new IllegalArgumentException(file + ": tensor '" + info.name() + "' was declared as " + info.type()
                    + ", the values are " + type);
        }
    }

    private void requireFloating(TensorInfo info) {
        switch (info.type()) {
            case F64, F32, F16, BF16 -> {}
            case I64, I32, U8 -> require(info, TensorType.F32);
        }
    }

    private void drainIfFull(Slot slot) throws IOException {
        if (buffer.remaining() < Long.BYTES) {
            drainRest(slot);
        }
    }

    private void drainRest(Slot slot) throws IOException {
        buffer.flip();
        drain(slot);
        buffer.clear();
    }

    private void drain(Slot slot) throws IOException {
        int length = buffer.remaining();
        if (length > slot.end - slot.position) {
            throw new IllegalArgumentException(file + ": tensor '" + slot.info.name() + "' gets more data than its "
                    + slot.info.bytes() + " declared bytes");
        }
        writeFully(buffer, slot.position);
        slot.position += length;
    }

    private void writeFully(ByteBuffer bytes, long position) throws IOException {
        long at = position;
        while (bytes.hasRemaining()) {
            at += channel.write(bytes, at);
        }
    }
}
