package io.mor.tokenizer.huggingface;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
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

  private static final String OFFLINE = "ai.djl.offline";

  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private final long handle;
  private boolean closed;

  /** @throws RuntimeException of the library, if the JSON is not a tokenizer */
  NativeTokenizer(String json) {
    load();
    handle = TokenizersLibrary.LIB.createTokenizerFromString(json);
  }

  /**
   * The library is in DJL's jar; on a machine with a GPU DJL would rather download another, unless it is told to stay offline. It looks for
   * resources with the class loader of the thread, which need not see a plugin's libraries.
   */
  private static synchronized void load() {
    Thread thread = Thread.currentThread();
    ClassLoader loader = thread.getContextClassLoader();
    String offline = System.getProperty(OFFLINE);
    thread.setContextClassLoader(LibUtils.class.getClassLoader());
    System.setProperty(OFFLINE, "true");
    try {
      LibUtils.checkStatus();
    } finally {
      thread.setContextClassLoader(loader);
      if (offline == null) {
        System.clearProperty(OFFLINE);
      } else {
        System.setProperty(OFFLINE, offline);
      }
    }
  }

  long[] encode(String text, boolean addSpecialTokens) {
    lock.readLock().lock();
    try {
      requireOpen();
      long encoding = TokenizersLibrary.LIB.encode(handle, text, addSpecialTokens);
      try {
        return TokenizersLibrary.LIB.getTokenIds(encoding);
      } finally {
        TokenizersLibrary.LIB.deleteEncoding(encoding);
      }
    } finally {
      lock.readLock().unlock();
    }
  }

  String decode(long[] ids) {
    lock.readLock().lock();
    try {
      requireOpen();
      return TokenizersLibrary.LIB.decode(handle, ids, true);
    } finally {
      lock.readLock().unlock();
    }
  }

  /** Texts are never cut or filled up, whatever the file says. */
  void keepLengths() {
    TokenizersLibrary.LIB.disableTruncation(handle);
    TokenizersLibrary.LIB.disablePadding(handle);
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
        TokenizersLibrary.LIB.deleteTokenizer(handle);
      }
    } finally {
      lock.writeLock().unlock();
    }
  }
}
