package io.mor.metrics.tensorboard;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * A TensorBoard event file: records of an 8-byte length, its masked CRC32C, a protobuf {@code Event}, and its masked CRC32C, all
 * little-endian. Of the protobuf only what is needed is written, field by field: wall time (1), step (2), and one of file version (3),
 * summary of scalars (5) and session log (7).
 */
final class EventFile implements Closeable {

    private static final String VERSION = "brain.Event:2";
    private static final int SESSION_START = 1;

    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int DELIMITED = 2;
    private static final int FIXED32 = 5;

    private final FileChannel channel;

    /** Creates the file; there must be none of the name. */
    EventFile(Path file, double wallTime) throws IOException {
        channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        Message event = event(wallTime);
        event.text(3, VERSION);
        write(event);
    }

    /** Says that a run begins, or goes on, at a step: TensorBoard then forgets what earlier files say of this step and later ones. */
    void start(double wallTime, long step) throws IOException {
        Message event = event(wallTime);
        event.varint(2, step);
        Message log = new Message();
        log.varint(1, SESSION_START);
        event.message(7, log);
        write(event);
    }

    void scalars(double wallTime, long step, Map<String, Double> values) throws IOException {
        Message event = event(wallTime);
        event.varint(2, step);
        Message summary = new Message();
        values.forEach((tag, value) -> {
            Message scalar = new Message();
            scalar.text(1, tag);
            scalar.fixed32(2, value.floatValue());
            summary.message(1, scalar);
        });
        event.message(5, summary);
        write(event);
    }

    private static Message event(double wallTime) {
        Message event = new Message();
        event.fixed64(1, wallTime);
        return event;
    }

    private void write(Message message) throws IOException {
        byte[] data = message.bytes();
        ByteBuffer header =
                ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(data.length);
        ByteBuffer entry = ByteBuffer.allocate(Long.BYTES + Integer.BYTES + data.length + Integer.BYTES)
                .order(ByteOrder.LITTLE_ENDIAN);
        entry.put(header.array())
                .putInt(maskedCrc(header.array()))
                .put(data)
                .putInt(maskedCrc(data))
                .flip();
        while (entry.hasRemaining()) {
            channel.write(entry);
        }
    }

    /** CRC32C, rotated and shifted so that a checksum of data that holds checksums stays good. */
    static int maskedCrc(byte[] data) {
        CRC32C crc = new CRC32C();
        crc.update(data);
        int value = (int) crc.getValue();
        return Integer.rotateRight(value, 15) + 0xa282ead8;
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    /** A protobuf message under construction. */
    private static final class Message {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        byte[] bytes() {
            return out.toByteArray();
        }

        private void tag(int field, int wireType) {
            raw((long) field << 3 | wireType);
        }

        private void raw(long value) {
            long rest = value;
            while ((rest & ~0x7fL) != 0) {
                out.write((int) (rest & 0x7f | 0x80));
                rest >>>= 7;
            }
            out.write((int) rest);
        }

        void varint(int field, long value) {
            tag(field, VARINT);
            raw(value);
        }

        void fixed64(int field, double value) {
            tag(field, FIXED64);
            out.writeBytes(ByteBuffer.allocate(Double.BYTES)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putDouble(value)
                    .array());
        }

        void fixed32(int field, float value) {
            tag(field, FIXED32);
            out.writeBytes(ByteBuffer.allocate(Float.BYTES)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putFloat(value)
                    .array());
        }

        void text(int field, String value) {
            delimited(field, value.getBytes(StandardCharsets.UTF_8));
        }

        void message(int field, Message value) {
            delimited(field, value.bytes());
        }

        private void delimited(int field, byte[] value) {
            tag(field, DELIMITED);
            raw(value.length);
            out.writeBytes(value);
        }
    }
}
