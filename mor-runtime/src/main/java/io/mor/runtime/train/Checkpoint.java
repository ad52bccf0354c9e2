package io.mor.runtime.train;

import io.mor.api.backend.Backend;
import io.mor.api.backend.Precision;
import io.mor.api.tensor.OptimizerGroup;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.StateBuffer;
import io.mor.api.tensor.Tensor;
import io.mor.runtime.MorException;
import io.mor.runtime.model.Weights;
import io.mor.runtime.safetensors.SafetensorsReader;
import io.mor.runtime.safetensors.SafetensorsWriter;
import io.mor.runtime.safetensors.TensorInfo;
import io.mor.runtime.safetensors.TensorType;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A saved state of a run: a folder {@code step-NNNNNNNN} with {@code model.safetensors} (parameters and buffers), {@code
 * optimizer.safetensors} (moments; absent for imported models), {@code config.yaml} (resolved) and {@code state.json} (counters and checksums).
 * It is written beside its place and renamed, so that a folder of that name is always whole.
 */
public final class Checkpoint {

    private static final String MODEL = "model.safetensors";
    private static final String OPTIMIZER = "optimizer.safetensors";
    private static final String STATE = "state.json";
    private static final String KEPT = "kept";

    /** Name of the resolved config in a checkpoint and in a run folder. */
    public static final String CONFIG = "config.yaml";

    private static final int VERSION = 1;

    private final Path folder;
    private final TrainingState state;
    private final boolean hasOptimizer;

    private Checkpoint(Path folder, TrainingState state, boolean hasOptimizer) {
        this.folder = folder;
        this.state = state;
        this.hasOptimizer = hasOptimizer;
    }

    /** Its folder. */
    public Path folder() {
        return folder;
    }

    /** Where the run stood. */
    public TrainingState state() {
        return state;
    }

    /** Whether training can be resumed from it. */
    public boolean hasOptimizer() {
        return hasOptimizer;
    }

    /** The resolved config's text. */
    public String config() {
        try {
            return Files.readString(folder.resolve(CONFIG));
        } catch (IOException e) {
            throw new MorException("checkpoint " + folder + ": " + CONFIG + " cannot be read: " + e.getMessage(), e);
        }
    }

    // ---- writing

    /**
     * Saves a checkpoint into {@code checkpoints}; the folder is made.
     *
     * @param optimizer empty if there is nothing to resume
     * @param kept whether it stays when newer ones push out the others
     * @throws MorException if it cannot be written (a full disk, say); earlier checkpoints are untouched
     */
    public static Checkpoint save(
            Path checkpoints,
            TrainingState state,
            Weights weights,
            Optional<AdamW> optimizer,
            String config,
            boolean kept) {
        Path target = checkpoints.resolve("step-%08d".formatted(state.step()));
        Path temporary = checkpoints.resolve(".step-%08d.tmp".formatted(state.step()));
        try {
            Files.createDirectories(checkpoints);
            deleteRecursively(temporary);
            Files.createDirectory(temporary);
            writeModel(temporary.resolve(MODEL), weights);
            if (optimizer.isPresent()) {
                writeOptimizer(temporary.resolve(OPTIMIZER), weights, optimizer.get());
            }
            Files.writeString(temporary.resolve(CONFIG), config);
            sync(temporary.resolve(CONFIG));
            writeState(temporary, state, optimizer.isPresent(), kept);
            deleteRecursively(target); // a checkpoint of the same step, written again after a resume: the same bytes
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
            syncFolder(checkpoints);
            return new Checkpoint(target, state, optimizer.isPresent());
        } catch (IOException e) {
            try {
                deleteRecursively(temporary);
            } catch (IOException suppressed) {
                e.addSuppressed(suppressed);
            }
            throw new MorException(
                    "checkpoint " + target + " could not be written: " + e.getMessage()
                            + ". Earlier checkpoints are whole; make room and resume",
                    e);
        }
    }

    private static TensorType type(Backend backend) {
        return backend.precision() == Precision.FLOAT64 ? TensorType.F64 : TensorType.F32;
    }

    private static List<Long> shape(Parameter parameter) {
        boolean vector = parameter.rows() == 1 && parameter.group().equals(OptimizerGroup.UNDECAYED);
        return vector
                ? List.of((long) parameter.columns())
                : List.of((long) parameter.rows(), (long) parameter.columns());
    }

    private static void writeModel(Path file, Weights weights) throws IOException {
        Backend backend = weights.backend();
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        List<TensorInfo> infos = new ArrayList<>();
        for (Parameter parameter : weights.parameters()) {
            infos.add(new TensorInfo(parameter.name(), type(backend), shape(parameter)));
            tensors.put(parameter.name(), weights.value(parameter));
        }
        for (StateBuffer buffer : weights.buffers()) {
            infos.add(new TensorInfo(
                    buffer.name(), type(backend), List.of((long) buffer.rows(), (long) buffer.columns())));
            tensors.put(buffer.name(), weights.value(buffer));
        }
        write(file, infos, tensors, backend);
    }

    private static void writeOptimizer(Path file, Weights weights, AdamW optimizer) throws IOException {
        Backend backend = weights.backend();
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        List<TensorInfo> infos = new ArrayList<>();
        for (Parameter parameter : weights.parameters()) {
            for (String moment : List.of("first", "second")) {
                String name = moment + "/" + parameter.name();
                infos.add(new TensorInfo(name, type(backend), shape(parameter)));
                tensors.put(
                        name,
                        moment.equals("first") ? optimizer.firstMoment(parameter) : optimizer.secondMoment(parameter));
            }
        }
        write(file, infos, tensors, backend);
    }

    private static void write(Path file, List<TensorInfo> infos, Map<String, Tensor> tensors, Backend backend)
            throws IOException {
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, infos, Map.of("format", "mor"))) {
            for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
                if (backend.precision() == Precision.FLOAT64) {
                    writer.append(entry.getKey(), backend.readDoubles(entry.getValue()));
                } else {
                    writer.append(entry.getKey(), backend.readFloats(entry.getValue()));
                }
            }
            writer.commit();
        }
    }

    private static void writeState(Path folder, TrainingState state, boolean hasOptimizer, boolean kept)
            throws IOException {
        ObjectNode json = JsonMapper.shared().createObjectNode();
        json.put("version", VERSION);
        json.put("step", state.step());
        json.put("micro-batch", state.microBatch());
        json.put("seed", state.seed());
        json.put("tokens", state.tokens());
        json.put(KEPT, kept);
        ObjectNode checksums = json.putObject("crc32c");
        for (String name : hasOptimizer ? List.of(MODEL, OPTIMIZER, CONFIG) : List.of(MODEL, CONFIG)) {
            checksums.put(name, checksum(folder.resolve(name)));
        }
        Files.writeString(
                folder.resolve(STATE),
                JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n");
        sync(folder.resolve(STATE));
        syncFolder(folder);
    }

    private static String checksum(Path file) throws IOException {
        CRC32C crc = new CRC32C();
        try (InputStream in = Files.newInputStream(file)) {
            byte[] buffer = new byte[1 << 16];
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                crc.update(ByteBuffer.wrap(buffer, 0, n));
            }
        }
        return "%08x".formatted(crc.getValue());
    }

    private static void sync(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.force(true);
        }
    }

    private static void syncFolder(Path folder) {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException e) {
            // Some systems cannot open a folder; the rename is then as durable as they make it.
        }
    }

    static void deleteRecursively(Path path) throws IOException {
        if (!Files.exists(path)) {
            return;
        }
        try (Stream<Path> inside = Files.walk(path)) {
            for (Path each : inside.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(each);
            }
        }
    }

    // ---- reading

    /**
     * Opens its parameters and buffers.
     *
     * @throws MorException if they cannot be read
     */
    public SafetensorsReader weights() {
        try {
            return SafetensorsReader.open(folder.resolve(MODEL));
        } catch (IOException e) {
            throw new MorException("checkpoint " + folder + ": " + MODEL + " cannot be read: " + e.getMessage(), e);
        }
    }

    /** Whether a folder looks like a checkpoint's. */
    public static boolean isOne(Path folder) {
        return Files.isRegularFile(folder.resolve(STATE));
    }

    /** Whether a checkpoint stays when newer ones push out the others. */
    static boolean isKept(Path folder) {
        try {
            return JsonMapper.shared()
                    .readTree(Files.readString(folder.resolve(STATE)))
                    .path(KEPT)
                    .booleanValue(false);
        } catch (IOException | JacksonException e) {
            return false; // a broken one is of no use
        }
    }

    /** The checkpoints of a folder, oldest first; none if it does not exist. */
    public static List<Path> list(Path checkpoints) {
        if (!Files.isDirectory(checkpoints)) {
            return List.of();
        }
        try (Stream<Path> inside = Files.list(checkpoints)) {
            return inside.filter(path -> path.getFileName().toString().matches("step-\\d{8,}"))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new MorException("the checkpoints in " + checkpoints + " cannot be listed: " + e.getMessage(), e);
        }
    }

    /**
     * Opens a checkpoint and verifies its checksums.
     *
     * @throws MorException naming the file that is missing, truncated or damaged
     */
    public static Checkpoint open(Path folder) {
        Path stateFile = folder.resolve(STATE);
        if (!Files.isRegularFile(stateFile)) {
            throw new MorException(folder + " is not a checkpoint: " + STATE + " is missing");
        }
        try {
            JsonNode json = JsonMapper.shared().readTree(Files.readString(stateFile));
            int version = json.path("version").intValue();
            if (version != VERSION) {
                throw new MorException(
                        "checkpoint " + folder + " has format version " + version + "; this version reads " + VERSION);
            }
            boolean hasOptimizer = false;
            for (String name : json.path("crc32c").propertyNames()) {
                hasOptimizer |= name.equals(OPTIMIZER);
                String expected = json.path("crc32c").path(name).stringValue();
                if (!Files.isRegularFile(folder.resolve(name))) {
                    throw new MorException(
                            "checkpoint " + folder + ": " + name + " is missing. Use an earlier checkpoint");
                }
                if (!checksum(folder.resolve(name)).equals(expected)) {
                    throw new MorException(
                            "checkpoint " + folder + ": " + name + " is damaged or truncated (its checksum is not "
                                    + expected + "). Use an earlier checkpoint");
                }
            }
            TrainingState state = new TrainingState(
                    json.path("step").longValue(),
                    json.path("micro-batch").longValue(),
                    json.path("seed").longValue(),
                    json.path("tokens").longValue());
            return new Checkpoint(folder, state, hasOptimizer);
        } catch (JacksonException e) {
            throw unreadable(folder, e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw unreadable(folder, e.getMessage(), e);
        }
    }

    private static MorException unreadable(Path folder, String reason, Exception cause) {
        return new MorException(
                "checkpoint " + folder + ": " + STATE + " cannot be read: " + reason + ". Use an earlier checkpoint",
                cause);
    }

    /**
     * Reads parameters and buffers.
     *
     * @throws MorException if the checkpoint is of another architecture, naming the first tensor that does not fit
     */
    public void loadInto(Weights weights) {
        Path file = folder.resolve(MODEL);
        try (SafetensorsReader reader = SafetensorsReader.open(file)) {
            List<String> expected = new ArrayList<>();
            for (Parameter parameter : weights.parameters()) {
                expected.add(parameter.name());
                load(reader, file, parameter.name(), shape(parameter), weights.value(parameter), weights.backend());
            }
            for (StateBuffer buffer : weights.buffers()) {
                expected.add(buffer.name());
                // A selector may be chosen after training: its buffers then start as declared.
                if (reader.has(buffer.name())) {
                    load(
                            reader,
                            file,
                            buffer.name(),
                            List.of((long) buffer.rows(), (long) buffer.columns()),
                            weights.value(buffer),
                            weights.backend());
                }
            }
            for (String name : reader.names()) {
                if (!expected.contains(name) && !name.startsWith("selector.")) {
                    throw new MorException("checkpoint " + folder + " is of another architecture: it has a tensor "
                            + name + " that the configured model has not");
                }
            }
        } catch (IOException e) {
            throw new MorException("checkpoint " + folder + ": " + MODEL + " cannot be read: " + e.getMessage(), e);
        }
    }

    /** Reads the optimizer's moments. */
    public void loadInto(Weights weights, AdamW optimizer) {
        Path file = folder.resolve(OPTIMIZER);
        if (!hasOptimizer) {
            throw new MorException(
                    "checkpoint " + folder
                            + " holds no optimizer state, so training cannot be resumed from it; start a new run from its weights with model.start-from");
        }
        try (SafetensorsReader reader = SafetensorsReader.open(file)) {
            for (Parameter parameter : weights.parameters()) {
                load(
                        reader,
                        file,
                        "first/" + parameter.name(),
                        shape(parameter),
                        optimizer.firstMoment(parameter),
                        weights.backend());
                load(
                        reader,
                        file,
                        "second/" + parameter.name(),
                        shape(parameter),
                        optimizer.secondMoment(parameter),
                        weights.backend());
            }
        } catch (IOException e) {
            throw new MorException("checkpoint " + folder + ": " + OPTIMIZER + " cannot be read: " + e.getMessage(), e);
        }
    }

    private static void load(
            SafetensorsReader reader, Path file, String name, List<Long> shape, Tensor into, Backend backend) {
        if (!reader.has(name)) {
            throw new MorException(file + " is of another architecture: tensor " + name + " is not in it");
        }
        TensorInfo info = reader.info(name);
        if (!info.shape().equals(shape)) {
            throw new MorException(file + " is of another architecture: tensor " + name + " has shape " + info.shape()
                    + ", the configured model wants " + shape);
        }
        if (backend.precision() == Precision.FLOAT64) {
            backend.write(into, reader.doubles(name));
        } else {
            backend.write(into, reader.floats(name));
        }
    }
}
