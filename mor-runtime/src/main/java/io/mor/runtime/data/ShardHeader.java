package io.mor.runtime.data;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * The first {@value #BYTES} bytes of a token shard, little-endian: magic, version, bytes of an id, vocabulary, CRC32C of the data, tokens,
 * tokens that train, SHA-256 of the tokenizer's and of the source's fingerprint, zeros, and in the last 4 bytes CRC32C of all before them.
 */
record ShardHeader(
        int idBytes, int vocabulary, int checksum, long tokens, long trainingTokens, byte[] tokenizer, byte[] source) {

    static final int BYTES = 256;
    static final int VERSION = 1;

    private static final long MAGIC = 0x534e454b4f54524dL; // "MRTOKENS"
    private static final int DIGEST_BYTES = 32;

    ByteBuffer toBuffer() {
        ByteBuffer buffer = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
        buffer.putLong(MAGIC)
                .putInt(VERSION)
                .putInt(idBytes)
                .putInt(vocabulary)
                .putInt(checksum)
                .putLong(tokens)
                .putLong(trainingTokens);
        buffer.put(tokenizer).put(source);
        buffer.putInt(BYTES - 4, crc(buffer.array()));
        return buffer.clear();
    }

    /** @throws IOException saying what is wrong with it */
    static ShardHeader read(Path file, MemorySegment mapped) throws IOException {
        if (mapped.byteSize() < BYTES) {
            throw new IOException(file + " is truncated: " + mapped.byteSize() + " bytes are less than a header");
        }
        ByteBuffer buffer = ByteBuffer.wrap(mapped.asSlice(0, BYTES).toArray(ValueLayout.JAVA_BYTE))
                .order(ByteOrder.LITTLE_ENDIAN);
        if (buffer.getLong() != MAGIC) {
            throw new IOException(file + " is not a token shard");
        }
        int version = buffer.getInt();
        if (version != VERSION) {
            throw new IOException(
                    file + " is a token shard of version " + version + ", this program reads version " + VERSION);
        }
        if (buffer.getInt(BYTES - 4) != crc(buffer.array())) {
            throw new IOException(file + " is damaged: the checksum of its header does not match");
        }
        ShardHeader header = new ShardHeader(
                buffer.getInt(),
                buffer.getInt(),
                buffer.getInt(),
                buffer.getLong(),
                buffer.getLong(),
                digest(buffer),
                digest(buffer));
        long expected = BYTES + header.tokens * header.idBytes;
        if (mapped.byteSize() != expected) {
            throw new IOException(
                    file + " is damaged: it has " + mapped.byteSize() + " bytes and should have " + expected);
        }
        return header;
    }

    private static byte[] digest(ByteBuffer buffer) {
        byte[] digest = new byte[DIGEST_BYTES];
        buffer.get(digest);
        return digest;
    }

    private static int crc(byte[] header) {
        CRC32C crc = new CRC32C();
        crc.update(header, 0, BYTES - 4);
        return (int) crc.getValue();
    }

    boolean isFrom(byte[] tokenizerFingerprint, byte[] sourceFingerprint) {
        return Arrays.equals(tokenizer, tokenizerFingerprint) && Arrays.equals(source, sourceFingerprint);
    }
}
