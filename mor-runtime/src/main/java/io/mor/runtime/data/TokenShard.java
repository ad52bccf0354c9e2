package io.mor.runtime.data;

import io.mor.api.data.Tokenizer;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.Objects;
import java.util.zip.CRC32C;

/**
 * A corpus as token ids in a memory-mapped file: the training part, then the validation part. Ids have 16 bits where the vocabulary allows
 * it and 32 otherwise. Tokenised once and used again as long as the tokenizer, the corpus and the split are the same; a damaged file
 * is noticed by its checksum.
 *
 * <p>Owns the mapping: datasets of a closed shard throw {@link IllegalStateException}. Thread safety: safe for concurrent use.
 */
public final class TokenShard implements AutoCloseable {

    private final Path file;
    private final Arena arena;
    private final ShardHeader header;
    private final TokenDataset tokens;

    private TokenShard(Path file, Arena arena, ShardHeader header, MemorySegment ids) {
        this.file = file;
        this.arena = arena;
        this.header = header;
        this.tokens = new TokenDataset(file.toString(), ids, header.idBytes(), header.vocabulary());
    }

    /**
     * Opens the shard at a file, tokenising the source first if there is none, if it is damaged, or if it was made from something else.
     *
     * @param file where it is kept; folders are created
     * @param listener hears progress, and a warning if a damaged shard is replaced
     * @throws CorpusException if the source cannot be read or holds no text
     * @throws IOException if the shard cannot be written, naming it
     */
    public static TokenShard openOrBuild(Path file, TokenSource source, Tokenizer tokenizer, DataListener listener)
            throws IOException {
        Objects.requireNonNull(listener, "listener is null");
        byte[] sourceFingerprint = source.fingerprint();
        byte[] tokenizerFingerprint = TokenSource.fingerprint(tokenizer);
        if (Files.exists(file)) {
            try {
                TokenShard shard = open(file);
                if (shard.header.isFrom(tokenizerFingerprint, sourceFingerprint)) {
                    return shard;
                }
                shard.close();
            } catch (IOException e) {
                listener.warning(e.getMessage() + "; it is made again from the corpus");
            }
        }
        ShardBuilder.build(file, source, sourceFingerprint, tokenizer, listener);
        return open(file);
    }

    /**
     * Opens a shard as it is, whatever it was made from.
     *
     * @throws IOException if there is none or it is damaged, naming the file and the remedy
     */
    public static TokenShard open(Path file) throws IOException {
        Arena arena = Arena.ofShared();
        boolean opened = false;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            ShardHeader header = ShardHeader.read(file, mapped);
            MemorySegment ids = mapped.asSlice(ShardHeader.BYTES);
            if (checksum(ids) != header.checksum()) {
                throw new IOException(file + " is damaged: the checksum of its tokens does not match");
            }
            TokenShard shard = new TokenShard(file, arena, header, ids);
            opened = true;
            return shard;
        } catch (NoSuchFileException e) {
            throw new IOException(file + " does not exist; tokenise the corpus first", e);
        } finally {
            if (!opened) {
                arena.close();
            }
        }
    }

    private static int checksum(MemorySegment ids) {
        CRC32C crc = new CRC32C();
        long chunk = 1 << 26;
        for (long at = 0; at < ids.byteSize(); at += chunk) {
            ByteBuffer part =
                    ids.asSlice(at, Math.min(chunk, ids.byteSize() - at)).asByteBuffer();
            crc.update(part);
        }
        return (int) crc.getValue();
    }

    /** The file. */
    public Path file() {
        return file;
    }

    /** Number of ids there are. */
    public int vocabulary() {
        return header.vocabulary();
    }

    /** The part that trains. */
    public TokenDataset training() {
        return tokens.slice(file + " (training)", 0, header.trainingTokens());
    }

    /** The part that validates; of size 0 if there is none. */
    public TokenDataset validation() {
        return tokens.slice(file + " (validation)", header.trainingTokens(), header.tokens() - header.trainingTokens());
    }

    /** A text that changes when any token, the split or the vocabulary changes: what a resumed run is checked against. */
    public String fingerprint() {
        return header.vocabulary() + "-" + header.trainingTokens() + "-" + header.tokens() + "-"
                + HexFormat.of().toHexDigits(header.checksum());
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
