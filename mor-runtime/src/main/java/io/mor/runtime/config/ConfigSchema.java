package io.mor.runtime.config;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.binding.Json;
import io.mor.runtime.binding.RecordSchema;
import io.mor.runtime.plugin.FoundExtension;
import io.mor.runtime.plugin.PluginCatalog;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A JSON Schema of configs, for editors: every key with its help, default and range, and for each section the keys of every extension. */
public final class ConfigSchema {

    private ConfigSchema() {}

    /** The schema (draft 2020-12) of configs whose extensions are in a catalog. */
    public static String json(PluginCatalog catalog) {
        return Json.write(of(catalog));
    }

    static Map<String, Object> of(PluginCatalog catalog) {
        RecordSchema records = new RecordSchema(path -> section(catalog, path));
        Map<String, Object> schema = new LinkedHashMap<>();
        schema.put("$schema", "https://json-schema.org/draft/2020-12/schema");
        schema.put("title", "mor experiment");
        schema.putAll(records.of(ExperimentConfig.class, ""));
        Map<String, Object> properties = new LinkedHashMap<>();
        properties.put(
                "extends",
                Map.of(
                        "type",
                        "string",
                        "description",
                        "config file, relative to this one, whose keys count where this one says nothing"));
        properties.putAll(mapping(schema.get("properties")));
        mapping(mapping(properties.get("model")).get("properties")).put("preset", presets());
        schema.put("properties", properties);
        return schema;
    }

    @SuppressWarnings("unchecked") // written by RecordSchema
    private static Map<String, Object> mapping(Object value) {
        return (Map<String, Object>) value;
    }

    private static Map<String, Object> presets() {
        Map<String, Object> schema = new LinkedHashMap<>();
        schema.put("description", "a named shape; keys given here win over it");
        schema.put("enum", ModelPresets.names());
        return schema;
    }

    private static Optional<Map<String, Object>> section(PluginCatalog catalog, String path) {
        if (path.equals("metrics.sinks[]")) {
            return Optional.of(choice(catalog, ExtensionKind.METRIC_SINK, List.of(), Optional.empty()));
        }
        return ExtensionSection.at(path)
                .map(section -> choice(
                        catalog,
                        section.kind(),
                        section.reserved(),
                        Optional.of(
                                section.of(ExperimentConfig.builder().build()).type())));
    }

    /** The id alone, or a mapping with {@code type}; without {@code type} the keys are those of the default. */
    private static Map<String, Object> choice(
            PluginCatalog catalog, ExtensionKind kind, List<String> reserved, Optional<String> standard) {
        List<String> ids = new ArrayList<>(reserved);
        List<Object> forms = new ArrayList<>();
        for (String id : reserved) {
            forms.add(form(
                    id,
                    new LinkedHashMap<>(Map.of(
                            "type", "object", "properties", new LinkedHashMap<>(), "additionalProperties", false)),
                    "",
                    standard));
        }
        for (FoundExtension found : catalog.extensions(kind)) {
            Extension extension = found.extension();
            ids.add(extension.id());
            forms.add(form(
                    extension.id(),
                    new RecordSchema(path -> Optional.empty()).of(extension.config(), ""),
                    extension.help(),
                    standard));
        }
        forms.addFirst(Map.of("enum", ids));
        return new LinkedHashMap<>(Map.of("oneOf", forms));
    }

    private static Map<String, Object> form(
            String id, Map<String, Object> keys, String help, Optional<String> standard) {
        Map<String, Object> properties = new LinkedHashMap<>();
        properties.put("type", Map.of("const", id));
        properties.putAll(mapping(keys.get("properties")));
        List<Object> required = new ArrayList<>();
        if (!standard.equals(Optional.of(id))) {
            required.add("type");
        }
        if (keys.get("required") instanceof List<?> own) {
            required.addAll(own);
        }
        Map<String, Object> form = new LinkedHashMap<>();
        form.put("type", "object");
        form.put("title", id);
        if (!help.isEmpty()) {
            form.put("description", help);
        }
        form.put("properties", properties);
        if (!required.isEmpty()) {
            form.put("required", required);
        }
        form.put("additionalProperties", false);
        return form;
    }
}
