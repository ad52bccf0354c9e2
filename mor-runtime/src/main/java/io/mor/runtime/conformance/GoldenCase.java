package io.mor.runtime.conformance;

import io.mor.runtime.safetensors.SafetensorsReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A golden case: a tiny model, an input, and what the reference computed in double precision. A folder with {@code case.json} and {@code
 * case.safetensors}.
 */
public final class GoldenCase {

    private final String name;
    private final GoldenConfig config;
    private final JsonNode json;
    private final Map<String, double[]> tensors = new LinkedHashMap<>();
    private final int[] inputs;
    private final int[] targets;

    private GoldenCase(String name, GoldenConfig config, JsonNode json, SafetensorsReader file) {
        this.name = name;
        this.config = config;
        this.json = json;
        for (String tensor : file.names()) {
            if (!tensor.endsWith("_ids")) {
                tensors.put(tensor, file.doubles(tensor));
            }
        }
        this.inputs = file.ints("input_ids");
        this.targets = file.ints("target_ids");
    }

    /**
     * Reads a case.
     *
     * @throws GoldenCaseException if it is not one, or has a key or value that is unknown
     */
    public static GoldenCase read(Path folder) {
        String where = folder.resolve("case.json").toString();
        try {
            JsonNode json = JsonMapper.shared().readTree(Files.readString(folder.resolve("case.json")));
            if (!json.has("config")) {
                throw new GoldenCaseException(where + ": config is missing");
            }
            GoldenConfig config = GoldenConfig.parse(json.get("config"), where);
            try (SafetensorsReader file = SafetensorsReader.open(folder.resolve("case.safetensors"))) {
                for (String required : List.of("input_ids", "target_ids", "logits")) {
                    if (!file.has(required)) {
                        throw new GoldenCaseException(file.file() + ": tensor " + required + " is missing");
                    }
                }
                return new GoldenCase(folder.getFileName().toString(), config, json, file);
            }
        } catch (IOException | JacksonException e) {
            throw new GoldenCaseException(folder + " is not a golden case: " + e.getMessage(), e);
        }
    }

    /** The folder's name. */
    public String name() {
        return name;
    }

    GoldenConfig config() {
        return config;
    }

    int[] inputs() {
        return inputs.clone();
    }

    int[] targets() {
        return targets.clone();
    }

    /** A tensor by its name in the file. */
    Optional<double[]> tensor(String tensor) {
        return Optional.ofNullable(tensors.get(tensor));
    }

    /** A scalar of the json, such as {@code total_loss}. */
    double scalar(String key) {
        if (!json.has(key)) {
            throw new GoldenCaseException(name + ": " + key + " is missing in case.json");
        }
        return json.get(key).doubleValue();
    }

    /** The auxiliary losses before their coefficients, by kebab-case name. */
    Map<String, Double> auxiliary() {
        Map<String, Double> values = new LinkedHashMap<>();
        if (json.has("auxiliary")) {
            JsonNode auxiliary = json.get("auxiliary");
            auxiliary
                    .propertyNames()
                    .forEach(key ->
                            values.put(key.replace('_', '-'), auxiliary.get(key).doubleValue()));
        }
        return values;
    }

    /** Nested whole numbers of the json, flattened; for example {@code selected} as a list per recursion and sequence. */
    Optional<List<List<List<Integer>>>> selected() {
        if (!json.has("selected")) {
            return Optional.empty();
        }
        List<List<List<Integer>>> recursions = new ArrayList<>();
        for (JsonNode recursion : json.get("selected")) {
            recursions.add(lists(recursion));
        }
        return Optional.of(recursions);
    }

    /** {@code depth} or {@code causal_depth}: per sequence and position. */
    Optional<List<List<Integer>>> depths(String key) {
        return json.has(key) ? Optional.of(lists(json.get(key))) : Optional.empty();
    }

    private static List<List<Integer>> lists(JsonNode node) {
        List<List<Integer>> lists = new ArrayList<>();
        for (JsonNode inner : node) {
            List<Integer> list = new ArrayList<>();
            inner.forEach(value -> list.add(value.intValue()));
            lists.add(list);
        }
        return lists;
    }

    List<Integer> layerMap() {
        List<Integer> map = new ArrayList<>();
        json.get("layer_map").forEach(value -> map.add(value.intValue()));
        return map;
    }
}
