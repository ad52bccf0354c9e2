package io.mor.runtime.experiment;

import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.train.Checkpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;

/**
 * The folder of a run: {@code config.yaml} (resolved), {@code checkpoints/}, {@code metrics.jsonl} and whatever else sinks write.
 *
 * @param path the folder
 */
public record RunFolder(Path path) {

    /** The resolved config. */
    public Path config() {
        return path.resolve(Checkpoint.CONFIG);
    }

    /** The checkpoints. */
    public Path checkpoints() {
        return path.resolve("checkpoints");
    }

    /** Whether a run has begun here. */
    public boolean exists() {
        return Files.isRegularFile(config());
    }

    /**
     * The newest checkpoint that is whole. A damaged one is passed over, and named in {@code warnings}.
     *
     * @throws MorException if there are checkpoints but all are damaged
     */
    public Optional<Checkpoint> latest(List<String> warnings) {
        List<Path> all = Checkpoint.list(checkpoints());
        for (Path folder : all.reversed()) {
            try {
                return Optional.of(Checkpoint.open(folder));
            } catch (MorException damaged) {
                warnings.add(damaged.getMessage());
            }
        }
        if (!all.isEmpty()) {
            throw new MorException("no checkpoint in " + checkpoints() + " is whole: " + String.join("; ", warnings));
        }
        return Optional.empty();
    }

    /**
     * The folder of a run that must be there.
     *
     * @throws UsageException if it is not
     */
    public static RunFolder existing(Path path) {
        RunFolder folder = new RunFolder(path);
        if (!folder.exists()) {
            throw new UsageException(path + " is not a run folder: it has no " + Checkpoint.CONFIG
                    + ". Give the folder that training or import made");
        }
        return folder;
    }

    /** Makes the folder and writes its config. */
    void create(String config) {
        try {
            Files.createDirectories(path);
            Path temporary = path.resolve(Checkpoint.CONFIG + ".tmp");
            Files.writeString(temporary, config);
            Files.move(temporary, config(), StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new MorException("the run folder " + path + " cannot be written: " + e.getMessage(), e);
        }
    }
}
