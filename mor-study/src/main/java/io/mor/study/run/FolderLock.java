package io.mor.study.run;

import io.mor.runtime.MorException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Optional;

/** The right to work in a folder, held by one process at a time and given back by the system when it ends, however it ends. */
final class FolderLock implements AutoCloseable {

    private static final long PAUSE_MILLIS = 100;

    private final FileChannel channel;

    private FolderLock(FileChannel channel) {
        this.channel = channel;
    }

    /**
     * Takes a lock.
     *
     * @param patienceMillis how long to wait for another holder
     * @return empty if another holds it still
     */
    static Optional<FolderLock> take(Path file, long patienceMillis) {
        long patience = System.nanoTime() + patienceMillis * 1_000_000;
        try {
            Files.createDirectories(file.toAbsolutePath().getParent());
            FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            while (!held(channel)) {
                if (System.nanoTime() > patience) {
                    channel.close();
                    return Optional.empty();
                }
                Thread.sleep(PAUSE_MILLIS);
            }
            String holder = "process " + ProcessHandle.current().pid() + " since "
                    + Instant.now().truncatedTo(ChronoUnit.SECONDS) + "\n";
            channel.truncate(0);
            channel.write(ByteBuffer.wrap(holder.getBytes(StandardCharsets.UTF_8)));
            return Optional.of(new FolderLock(channel));
        } catch (IOException e) {
            throw new MorException(
                    file + " cannot be locked: " + e.getMessage()
                            + "; check the space on the disk and who owns the folder",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MorException("interrupted while waiting for " + file, e);
        }
    }

    private static boolean held(FileChannel channel) throws IOException {
        try {
            FileLock lock = channel.tryLock();
            return lock != null;
        } catch (OverlappingFileLockException e) {
            return false;
        }
    }

    /** Who holds a lock, as far as its file says. */
    static String holder(Path file) {
        try {
            return Files.readString(file).strip();
        } catch (IOException e) {
            return "another process";
        }
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new MorException("a lock cannot be given back: " + e.getMessage(), e);
        }
    }
}
