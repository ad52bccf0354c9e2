package io.mor.study.run;

import io.mor.runtime.MorException;
import io.mor.runtime.experiment.RunFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The folder of a trial: {@code trial.json} (what it is to do), {@code outcome.json} (what it found), {@code failure.txt} (why it failed), {@code
 * log.txt} (what its process said), and for a training all that a run folder has.
 *
 * @param path the folder; its name is the trial's id
 */
record TrialFolder(Path path) {

    private static final String SPEC = "trial.json";
    private static final String OUTCOME = "outcome.json";
    private static final String FAILURE = "failure.txt";

    RunFolder run() {
        return new RunFolder(path);
    }

    Path metrics() {
        return path.resolve("metrics.jsonl");
    }

    Path log() {
        return path.resolve("log.txt");
    }

    Path lock() {
        return path.resolve("lock");
    }

    Path sibling(String id) {
        return path.resolveSibling(id);
    }

    void writeSpec(TrialSpec spec) {
        if (!spec().equals(Optional.of(spec))) {
            JsonFiles.write(path.resolve(SPEC), spec);
        }
    }

    Optional<TrialSpec> spec() {
        return JsonFiles.read(path.resolve(SPEC), TrialSpec.class);
    }

    TrialSpec existingSpec() {
        return spec().orElseThrow(() -> new MorException(path + " is no folder of a trial: it has no " + SPEC));
    }

    /** The outcome, if it is of the measures asked for. */
    Optional<TrialOutcome> outcome(TrialSpec spec) {
        return JsonFiles.read(path.resolve(OUTCOME), TrialOutcome.class)
                .filter(outcome -> outcome.measures().equals(spec.measures()));
    }

    void writeOutcome(TrialOutcome outcome) {
        JsonFiles.write(path.resolve(OUTCOME), outcome);
        clearFailure();
    }

    Optional<String> failure() {
        try {
            Path file = path.resolve(FAILURE);
            return Files.isRegularFile(file)
                    ? Optional.of(Files.readString(file).strip())
                    : Optional.empty();
        } catch (IOException e) {
            return Optional.of("failed; why cannot be read: " + e.getMessage());
        }
    }

    /** Keeps why it failed; on a full disk even that may fail, and is then told by the parent alone. */
    void writeFailure(String cause) {
        try {
            Files.createDirectories(path);
            Files.writeString(path.resolve(FAILURE), cause + "\n");
        } catch (IOException e) {
            return; // the cause itself is told; that it could not be kept follows from the same trouble
        }
    }

    void clearFailure() {
        try {
            Files.deleteIfExists(path.resolve(FAILURE));
        } catch (IOException e) {
            throw new MorException(path.resolve(FAILURE) + " cannot be deleted: " + e.getMessage(), e);
        }
    }
}
