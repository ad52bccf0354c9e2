package io.mor.runtime.data;

import io.mor.api.data.Corpus;
import io.mor.api.data.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/** Writes one token shard: to a temporary file, forced to disk, then renamed, so that a shard is complete or not there. */
final class ShardBuilder {

    /** Documents are tokenised in pieces of at most this many UTF-16 units, cut after a line if possible (spec 5.2: 2^22 characters). */
    static final int PIECE = 1 << 22;

    private static final int BUFFER_BYTES = 1 << 18;
    private static final int U16_VOCABULARY = 1 << 16;

    private final Tokenizer tokenizer;
    private final boolean endOfText;
    private final DataListener listener;
    private final FileChannel channel;
    private final int idBytes;
    private final int vocabulary;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private final CRC32C checksum = new CRC32C();
    private long tokens;
    private long documents;
    private long characters;

    private ShardBuilder(Tokenizer tokenizer, boolean endOfText, DataListener listener, FileChannel channel) {
        this.tokenizer = tokenizer;
        this.endOfText = endOfText;
        this.listener = listener;
        this.channel = channel;
        this.vocabulary = tokenizer.vocabularySize();
        this.idBytes = vocabulary <= U16_VOCABULARY ? Short.BYTES : Integer.BYTES;
    }

    static void build(
            Path file, TokenSource source, byte[] sourceFingerprint, Tokenizer tokenizer, DataListener listener)
            throws IOException {
        Path folder = file.toAbsolutePath().getParent();
        Files.createDirectories(folder);
        Path temporary = Files.createTempFile(folder, file.getFileName() + "-", ".tmp");
        try {
            try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.WRITE)) {
                new ShardBuilder(tokenizer, source.endOfText(), listener, channel).write(source, sourceFingerprint);
            }
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
            forceFolder(folder);
        } catch (CorpusException e) {
            throw e;
        } catch (IOException e) {
            throw new IOException(
                    "the token shard " + file + " cannot be written: " + e.getMessage()
                            + "; check space and permissions",
                    e);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    /** A rename is on disk only when its folder is. */
    private static void forceFolder(Path folder) throws IOException {
        if (!System.getProperty("os.name").startsWith("Windows")) { // which cannot open folders
            try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
                channel.force(true);
            }
        }
    }

    private void write(TokenSource source, byte[] sourceFingerprint) throws IOException {
        channel.position(ShardHeader.BYTES);
        long training = switch (source.validation()) {
            case ValidationSplit.None none -> {
                addAll(source.corpus());
                yield tokens;
            }
            case ValidationSplit.TokenFraction split -> {
                addAll(source.corpus());
                yield ValidationSplit.training(tokens, split.fraction());
            }
            case ValidationSplit.CharacterFraction split -> addWithBoundary(source.corpus(), split.fraction());
            case ValidationSplit.Separate split -> {
                addAll(source.corpus());
                long before = tokens;
                addAll(split.corpus());
                yield before;
            }
        };
        drain();
        if (tokens == 0) {
            throw new CorpusException("the corpus holds no text; give files with text in them");
        }
        ShardHeader header = new ShardHeader(
                idBytes,
                vocabulary,
                (int) checksum.getValue(),
                tokens,
                training,
                TokenSource.fingerprint(tokenizer),
                sourceFingerprint);
        ByteBuffer bytes = header.toBuffer();
        while (bytes.hasRemaining()) {
            channel.write(bytes, bytes.position());
        }
        channel.force(true);
        listener.tokenizing(new DataListener.Progress(documents, characters, tokens, true));
    }

    private void addAll(Corpus corpus) throws IOException {
        forEach(corpus, document -> {
            documents++;
            add(document.name(), document.text());
            end();
        });
    }

    /** Reads the corpus twice: characters have to be counted before the boundary is known. */
    private long addWithBoundary(Corpus corpus, double fraction) throws IOException {
        long[] total = {0};
        forEach(corpus, document -> total[0] += points(document));
        Boundary boundary = new Boundary(ValidationSplit.training(total[0], fraction));
        forEach(corpus, document -> {
            documents++;
            String text = document.text();
            long points = points(document);
            if (boundary.tokens < 0 && boundary.charactersLeft < points) {
                int at = text.offsetByCodePoints(0, (int) boundary.charactersLeft);
                add(document.name(), text.substring(0, at));
                boundary.tokens = tokens;
                add(document.name(), text.substring(at));
            } else {
                add(document.name(), text);
                boundary.charactersLeft -= points;
            }
            end();
        });
        return boundary.tokens < 0 ? tokens : boundary.tokens;
    }

    private static final class Boundary {
        long charactersLeft;
        long tokens = -1;

        Boundary(long charactersLeft) {
            this.charactersLeft = charactersLeft;
        }
    }

    private static long points(Corpus.Document document) {
        return document.text().codePointCount(0, document.text().length());
    }

    private interface DocumentConsumer {
        void accept(Corpus.Document document) throws IOException;
    }

    /** Pushes document by document; an iterator over a stream that was flat-mapped would hold a whole corpus in memory. */
    private static void forEach(Corpus corpus, DocumentConsumer consumer) throws IOException {
        try (Stream<Corpus.Document> stream = corpus.documents()) {
            stream.sequential().forEachOrdered(document -> {
                try {
                    consumer.accept(document);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private void end() throws IOException {
        if (endOfText && tokenizer.endOfText().isPresent()) {
            put(tokenizer.endOfText().getAsInt());
        }
    }

    private void add(String name, String text) throws IOException {
        for (int from = 0; from < text.length(); ) {
            int to = pieceEnd(text, from);
            int[] ids = encode(name, text.substring(from, to));
            for (int id : ids) {
                if (id < 0 || id >= vocabulary) {
                    throw new IllegalStateException(
                            name + ": the tokenizer gave the id " + id + ", its vocabulary has " + vocabulary);
                }
                put(id);
            }
            characters += to - from;
            from = to;
            listener.tokenizing(new DataListener.Progress(documents, characters, tokens, false));
        }
    }

    private int[] encode(String name, String piece) throws CorpusException {
        try {
            return tokenizer.encode(piece);
        } catch (IllegalArgumentException e) {
            throw new CorpusException(name + " cannot be tokenised: " + e.getMessage(), e);
        }
    }

    static int pieceEnd(String text, int from) {
        if (text.length() - from <= PIECE) {
            return text.length();
        }
        int limit = from + PIECE;
        int line = text.lastIndexOf('\n', limit - 1);
        if (line >= from) {
            return line + 1;
        }
        return Character.isHighSurrogate(text.charAt(limit - 1)) ? limit - 1 : limit;
    }

    private void put(int id) throws IOException {
        if (!buffer.hasRemaining()) {
            drain();
        }
        if (idBytes == Short.BYTES) {
            buffer.putShort((short) id);
        } else {
            buffer.putInt(id);
        }
        tokens++;
    }

    private void drain() throws IOException {
        buffer.flip();
        checksum.update(buffer);
        buffer.flip();
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
        buffer.clear();
    }
}
