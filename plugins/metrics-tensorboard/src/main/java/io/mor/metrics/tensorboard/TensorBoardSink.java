package io.mor.metrics.tensorboard;

import io.mor.api.metric.MetricSink;
import jakarta.inject.Inject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * TensorBoard event files, written without TensorFlow: every figure is a scalar, a histogram one scalar for each of its buckets. A tag up to
 * its first '/' is TensorBoard's group.
 *
 * <p>Each session of a run writes a file of its own; a resumed one says so, and TensorBoard drops what earlier files hold of the same
 * and later steps.
 */
public final class TensorBoardSink implements MetricSink {

    private final String folder;
    private final InstantSource clock;
    private Optional<Output> output = Optional.empty();

    private static final class Output {
        final Path path;
        final EventFile file;
        boolean started;

        Output(Path path, EventFile file) {
            this.path = path;
            this.file = file;
        }
    }

    /** A sink. */
    @Inject
    public TensorBoardSink(TensorBoardConfig config) {
        this(config, InstantSource.system());
    }

    TensorBoardSink(TensorBoardConfig config, InstantSource clock) {
        this.folder = Objects.requireNonNull(config, "config is null").folder();
        this.clock = clock;
    }

    @Override
    public void begin(Run run) throws IOException {
        close();
        Path events = run.folder().resolve(folder);
        try {
            Files.createDirectories(events);
            // TensorBoard reads the files of a folder in the order of their names: time, then number.
            String name = String.format(
                    "events.out.tfevents.%010d.%05d", clock.instant().getEpochSecond(), existing(events));
            Path path = events.resolve(name);
            output = Optional.of(new Output(path, new EventFile(path, wallTime())));
        } catch (IOException e) {
            throw new IOException(
                    "TensorBoard events cannot be written to " + events + ": " + e
                            + "; check that the run folder can be written",
                    e);
        }
    }

    private static long existing(Path events) throws IOException {
        try (Stream<Path> files = Files.list(events)) {
            return files.filter(file -> file.getFileName().toString().contains("tfevents"))
                    .count();
        }
    }

    private double wallTime() {
        Instant now = clock.instant();
        return now.getEpochSecond() + now.getNano() * 1e-9;
    }

    @Override
    public void record(long step, Map<String, Double> values) throws IOException {
        Output out = output.orElseThrow(() -> new IllegalStateException("a metric sink begins before it records"));
        try {
            if (!out.started) {
                out.file.start(wallTime(), step);
                out.started = true;
            }
            out.file.scalars(wallTime(), step, values);
        } catch (IOException e) {
            throw new IOException(
                    "TensorBoard events cannot be written to " + out.path + ": " + e.getMessage()
                            + "; check the space on the disk",
                    e);
        }
    }

    @Override
    public void close() throws IOException {
        if (output.isPresent()) {
            output.get().file.close();
            output = Optional.empty();
        }
    }
}
