package io.mor.runtime.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.plugin.PluginCatalog;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.dataformat.yaml.YAMLMapper;

class ConfigSchemaTest {

    private final PluginCatalog catalog = TestExtensions.catalog();
    private final JsonNode schema = new JsonMapper().readTree(ConfigSchema.json(catalog));

    private List<String> check(String yaml) {
        return SchemaChecker.check(schema, new YAMLMapper().readTree(yaml), "");
    }

    @Test
    void resolvedConfigsAreValid() {
        assertEquals(List.of(), check(ExperimentConfig.builder().build(catalog).toYaml()));
        assertEquals(
                List.of(),
                check(ExperimentConfig.builder()
                        .yaml(ExperimentConfigTest.EVERYTHING)
                        .build(catalog)
                        .toYaml()));
        for (String preset : ModelPresets.names()) {
            assertEquals(List.of(), check("model: {preset: " + preset + "}"));
            assertEquals(
                    List.of(),
                    check(ExperimentConfig.builder()
                            .with("model.preset", preset)
                            .build(catalog)
                            .toYaml()));
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "extends: base.yaml",
                "router: expert-choice",
                "router: {type: expert-choice, alpha: 0.3, auxiliary-loss: {enabled: true}, weights: {a: 1}}",
                "router: {type: none}",
                "kv-cache: {}",
                "metrics: {sinks: [jsonl, {type: tensorboard}]}"
            })
    void whatLoadsIsValid(String yaml) {
        assertEquals(List.of(), check(yaml));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "trainign: {}",
                "training: {steps: 0}",
                "training: {steps: many}",
                "training: {epsilon: 0}",
                "model: {sharing: circle}",
                "model: {preset: huge}",
                "router: expert-chioce",
                "router: {alpha: 0.3}",
                "router: {type: token-choice, alpha: 0.3}",
                "router: {type: expert-choice, alpha: 11}",
                "router: {type: expert-choice, capacity: [2]}",
                "router: {type: expert-choice, weights: {a: x}}",
                "metrics: {sinks: [{}]}",
                "data: {paths: a.txt}"
            })
    void whatDoesNotLoadIsNotValid(String yaml) {
        assertFalse(check(yaml).isEmpty());
    }

    @Test
    void everyKeyTellsItsHelpAndDefault() {
        JsonNode training = schema.get("properties").get("training").get("properties");
        assertEquals("optimizer steps", training.get("steps").get("description").asString());
        assertEquals(1000, training.get("steps").get("default").intValue());
        assertEquals(1e-8, training.get("epsilon").get("default").doubleValue());
        for (Map.Entry<String, JsonNode> section : schema.get("properties").properties()) {
            assertTrue(section.getValue().has("description"), section.getKey() + " has no help");
            if (section.getValue().has("properties")) {
                section.getValue()
                        .get("properties")
                        .properties()
                        .forEach(key -> assertTrue(key.getValue().has("description"), key.getKey() + " has no help"));
            }
        }
    }
}
