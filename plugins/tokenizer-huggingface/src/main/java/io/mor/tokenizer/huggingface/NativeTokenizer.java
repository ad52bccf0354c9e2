package io.mor.tokenizer.huggingface;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * A tokenizer of the native library. Its functions are called directly: DJL's own class around them reports its use over the network, and
 * copies more of every encoding than ids.
 *
 * <p>Thread safety: safe for concurrent use; {@link #close} waits for calls that are under way.
 */
final class NativeTokenizer implements AutoCloseable {

    private final ReadWriteLock lock = new ReentrantReadWriteLock();
    private final TokenizersLibrary library;
    private final long handle;
    private boolean closed;

    /**
     * A tokenizer.
     *
     * @throws RuntimeException of the library, if the JSON is not a tokenizer
     * @throws LinkageError if the library cannot be loaded
     */
    NativeTokenizer(String json) {
        library = NativeLibrary.get();
        handle = library.createTokenizerFromString(json);
    }

    long[] encode(String text, boolean addSpecialTokens) {
        lock.readLock().lock();
        try {
            requireOpen();
            long encoding = library.encode(handle, text, addSpecialTokens);
            try {
                return library.getTokenIds(encoding);
            } finally {
                library.deleteEncoding(encoding);
            }
        } finally {
            lock.readLock().unlock();
        }
    }

    String decode(long[] ids) {
        lock.readLock().lock();
        try {
            requireOpen();
            return library.decode(handle, ids, true);
        } finally {
            lock.readLock().unlock();
        }
    }

    /** Texts are never cut or filled up, whatever the file says. */
    void keepLengths() {
        library.disableTruncation(handle);
        library.disablePadding(handle);
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the huggingface tokenizer is closed");
        }
    }

    @Override
    public void close() {
        lock.writeLock().lock();
        try {
            if (!closed) {
                closed = true;
                library.deleteTokenizer(handle);
            }
        } finally {
            lock.writeLock().unlock();
        }
    }
}
