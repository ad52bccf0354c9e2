package io.mor.runtime.data;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Objects;

/**
 * A sequence of token ids, usually a part of a mapped {@link TokenShard}, whose lifetime it shares.
 *
 * <p>Thread safety: safe for concurrent use.
 */
public final class TokenDataset {

    private static final ValueLayout.OfShort U16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt U32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final String name;
    private final MemorySegment ids;
    private final int idBytes;
    private final int vocabulary;

    TokenDataset(String name, MemorySegment ids, int idBytes, int vocabulary) {
        this.name = name;
        this.ids = ids;
        this.idBytes = idBytes;
        this.vocabulary = vocabulary;
    }

    /**
     * A sequence in memory.
     *
     * @param name for messages
     * @param ids copied
     * @param vocabulary number of ids there are
     * @throws IllegalArgumentException if an id is outside the vocabulary
     */
    public static TokenDataset of(String name, int[] ids, int vocabulary) {
        int[] littleEndian = ids.clone();
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] >= vocabulary) {
                throw new IllegalArgumentException(
                        name + ": id " + ids[i] + " at " + i + " is outside the vocabulary of " + vocabulary);
            }
            if (ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN) {
                littleEndian[i] = Integer.reverseBytes(ids[i]);
            }
        }
        return new TokenDataset(name, MemorySegment.ofArray(littleEndian).asReadOnly(), Integer.BYTES, vocabulary);
    }

    /** What it is, for messages: the file and the part. */
    public String name() {
        return name;
    }

    /** Number of tokens. */
    public long size() {
        return ids.byteSize() / idBytes;
    }

    /** Number of ids there are; every token is less. */
    public int vocabulary() {
        return vocabulary;
    }

    /**
     * One token.
     *
     * @throws IndexOutOfBoundsException if the index is outside 0 .. size - 1
     */
    public int get(long index) {
        Objects.checkIndex(index, size());
        return idBytes == Short.BYTES ? Short.toUnsignedInt(ids.get(U16, 2 * index)) : ids.get(U32, 4 * index);
    }

    /**
     * Copies tokens.
     *
     * @throws IndexOutOfBoundsException if the range is outside the sequence or the array
     */
    public void copy(long from, int[] to, int offset, int length) {
        Objects.checkFromIndexSize(from, length, size());
        Objects.checkFromIndexSize(offset, length, to.length);
        if (idBytes == Short.BYTES) {
            for (int i = 0; i < length; i++) {
                to[offset + i] = Short.toUnsignedInt(ids.get(U16, 2 * (from + i)));
            }
        } else {
            MemorySegment.copy(ids, U32, 4 * from, to, offset, length);
        }
    }

    /** A part of this sequence. */
    public TokenDataset slice(String part, long from, long length) {
        Objects.checkFromIndexSize(from, length, size());
        return new TokenDataset(part, ids.asSlice(from * idBytes, length * idBytes), idBytes, vocabulary);
    }
}
