package io.mor.runtime.config;

import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import io.mor.runtime.binding.ConfigNode;
import io.mor.runtime.binding.Inline;
import io.mor.runtime.binding.Names;
import io.mor.runtime.binding.OtherKeys;
import io.mor.runtime.binding.Ranges;
import io.mor.runtime.binding.RecordKeys;
import io.mor.runtime.binding.ValueTypes;
import io.mor.runtime.binding.Yaml;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A key of a config record, for listings.
 *
 * @param path in kebab case, {@code schedule.warmup-steps} for a nested record
 * @param type in words, with the range: "number, at least 0"
 * @param defaultValue as YAML; empty if the key is required or may be left out
 * @param required whether it must be given
 * @param help one line
 */
public record ConfigKey(String path, String type, Optional<String> defaultValue, boolean required, String help) {

    /** The keys of a record in their order, those of nested records among them. */
    public static List<ConfigKey> of(Class<? extends Record> record) {
        List<ConfigKey> keys = new ArrayList<>();
        collect(record, "", keys);
        return List.copyOf(keys);
    }

    private static void collect(Class<? extends Record> record, String prefix, List<ConfigKey> keys) {
        for (RecordComponent component : record.getRecordComponents()) {
            Class<?> type = component.getType();
            String path = prefix + Names.kebabCase(component.getName());
            if (component.isAnnotationPresent(OtherKeys.class)) {
                continue;
            }
            if (component.isAnnotationPresent(Inline.class)) {
                collect(type.asSubclass(Record.class), prefix, keys);
            } else if (type.isRecord() && !RecordKeys.takesOtherKeys(type.asSubclass(Record.class))) {
                collect(type.asSubclass(Record.class), path + ".", keys);
            } else {
                keys.add(of(component, path));
            }
        }
    }

    private static ConfigKey of(RecordComponent component, String path) {
        Optional<String> standard = RecordKeys.defaultValue(component).map(ConfigKey::text);
        boolean optional = ValueTypes.emptyOptional(component.getType()).isPresent();
        return new ConfigKey(path, describe(component), standard, standard.isEmpty() && !optional, help(component));
    }

    private static String text(ConfigNode value) {
        return switch (value) {
            case ConfigNode.Scalar scalar -> scalar.text();
            case ConfigNode.Sequence sequence ->
                sequence.items().stream().map(ConfigKey::text).toList().toString();
            case ConfigNode.Mapping mapping -> Yaml.write(mapping).strip();
        };
    }

    static String help(RecordComponent component) {
        Help help = component.getAnnotation(Help.class);
        return help == null ? "" : help.value();
    }

    private static String describe(RecordComponent component) {
        Range range = component.getAnnotation(Range.class);
        return type(component.getGenericType()) + (range == null ? "" : ", " + Ranges.describe(range));
    }

    private static String type(Type type) {
        Class<?> raw = ValueTypes.raw(type);
        if (raw.isEnum()) {
            return String.join(" | ", ValueTypes.constants(raw));
        }
        if (raw.isRecord()) {
            return "extension";
        }
        return switch (raw.getName()) {
            case "int",
                    "long",
                    "java.lang.Integer",
                    "java.lang.Long",
                    "java.util.OptionalInt",
                    "java.util.OptionalLong" -> "whole number";
            case "double", "float", "java.lang.Double", "java.lang.Float", "java.util.OptionalDouble" -> "number";
            case "boolean", "java.lang.Boolean" -> "true | false";
            case "java.nio.file.Path" -> "path";
            case "java.time.Duration" -> "duration";
            case "java.util.Optional" -> type(ValueTypes.argument(type, 0));
            case "java.util.List" -> "list of " + type(ValueTypes.argument(type, 0));
            case "java.util.Map" -> "mapping to " + type(ValueTypes.argument(type, 1));
            default -> "text";
        };
    }
}
