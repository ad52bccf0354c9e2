package io.mor.runtime.experiment;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.StateBuffer;
import io.mor.runtime.MorException;
import io.mor.runtime.evaluate.Calibration;
import io.mor.runtime.model.MorModel;
import io.mor.runtime.model.Weights;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.function.Consumer;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The cut-offs that a calibration found, in a run folder beside the checkpoints, which stay as training left them. */
final class SavedCutoffs {

    private static final String FILE = "calibration.json";

    private SavedCutoffs() {}

    static void write(RunFolder folder, Calibration calibration) {
        ObjectNode json = JsonMapper.shared().createObjectNode();
        array(json.putArray("cutoffs"), calibration.cutoffs());
        array(json.putArray("achieved-capacities"), calibration.achieved());
        json.put("mean-depth", calibration.meanDepth());
        Path file = folder.path().resolve(FILE);
        try {
            Path temporary = folder.path().resolve(FILE + ".tmp");
            Files.writeString(
                    temporary,
                    JsonMapper.shared().writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n");
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new MorException("the calibration " + file + " could not be written: " + e.getMessage(), e);
        }
    }

    private static void array(ArrayNode array, Iterable<Double> values) {
        values.forEach(array::add);
    }

    static void readInto(RunFolder folder, MorModel model, Weights weights, Consumer<String> notes) {
        Path file = folder.path().resolve(FILE);
        Optional<StateBuffer> buffer = model.selector().flatMap(selector -> selector.cutoffs());
        if (!Files.exists(file) || buffer.isEmpty()) {
            return;
        }
        try {
            JsonNode cutoffs =
                    JsonMapper.shared().readTree(Files.readString(file)).path("cutoffs");
            if (cutoffs.size() != buffer.get().columns()) {
                throw new MorException(file + " has " + cutoffs.size() + " cut-offs for a model of "
                        + buffer.get().columns() + " recursions; delete it and calibrate again");
            }
            double[] values = new double[cutoffs.size()];
            for (int i = 0; i < values.length; i++) {
                values[i] = cutoffs.get(i).doubleValue();
            }
            Backend backend = weights.backend();
            backend.write(weights.value(buffer.get()), values);
            notes.accept("selector cut-offs are those of " + file);
        } catch (IOException | JacksonException e) {
            throw new MorException(file + " cannot be read: " + e.getMessage() + "; delete it and calibrate again", e);
        }
    }
}
