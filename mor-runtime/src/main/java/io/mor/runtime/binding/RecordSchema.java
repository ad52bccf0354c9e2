package io.mor.runtime.binding;

import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** JSON Schema (draft 2020-12) of what {@link RecordBinder} accepts for a record. */
public final class RecordSchema {

    private final Function<String, Optional<Map<String, Object>>> sections;

    /**
     * A writer of schemas.
     *
     * @param sections the schema of the record with {@link OtherKeys} at a path (list elements as {@code []}), where it is known
     */
    public RecordSchema(Function<String, Optional<Map<String, Object>>> sections) {
        this.sections = sections;
    }

    /** The schema of a record whose mapping stands at {@code path}. */
    public Map<String, Object> of(Class<? extends Record> type, String path) {
        Map<String, Object> properties = new LinkedHashMap<>();
        List<String> required = new ArrayList<>();
        collect(type, path, properties, required);
        Map<String, Object> schema = new LinkedHashMap<>();
        schema.put("type", "object");
        schema.put("properties", properties);
        if (!required.isEmpty()) {
            schema.put("required", required);
        }
        schema.put("additionalProperties", RecordKeys.takesOtherKeys(type));
        return schema;
    }

    private void collect(
            Class<? extends Record> type, String path, Map<String, Object> properties, List<String> required) {
        for (RecordComponent component : type.getRecordComponents()) {
            if (component.isAnnotationPresent(Inline.class)) {
                collect(component.getType().asSubclass(Record.class), path, properties, required);
            } else if (!component.isAnnotationPresent(OtherKeys.class)) {
                String key = Names.kebabCase(component.getName());
                properties.put(key, property(component, path.isEmpty() ? key : path + "." + key));
                if (isRequired(component)) {
                    required.add(key);
                }
            }
        }
    }

    private static boolean isRequired(RecordComponent component) {
        return RecordKeys.defaultValue(component).isEmpty()
                && !component.getType().isRecord()
                && ValueTypes.emptyOptional(component.getType()).isEmpty();
    }

    private Map<String, Object> property(RecordComponent component, String path) {
        Map<String, Object> schema = new LinkedHashMap<>();
        Help help = component.getAnnotation(Help.class);
        if (help != null) {
            schema.put("description", help.value());
        }
        RecordKeys.defaultValue(component).ifPresent(value -> schema.put("default", defaultOf(component, value)));
        schema.putAll(
                value(component.getGenericType(), Optional.ofNullable(component.getAnnotation(Range.class)), path));
        return schema;
    }

    /** YAML reads {@code 1e-8} as a text, a schema wants the number. */
    private static Object defaultOf(RecordComponent component, ConfigNode value) {
        if (value instanceof ConfigNode.Scalar scalar && !component.getType().isRecord()) {
            Class<?> type = component.getType();
            if (type.isPrimitive() && type != boolean.class || Number.class.isAssignableFrom(type)) {
                return ValueTypes.parse(type, scalar.text())
                        .map(Object.class::cast)
                        .orElse(scalar.text());
            }
            return type == String.class ? scalar.text() : value.toJava();
        }
        return value.toJava();
    }

    private Map<String, Object> value(Type type, Optional<Range> range, String path) {
        Class<?> raw = ValueTypes.raw(type);
        if (raw.isRecord()) {
            return sections.apply(path).orElseGet(() -> of(raw.asSubclass(Record.class), path));
        }
        if (raw == Optional.class) {
            return value(ValueTypes.argument(type, 0), range, path);
        }
        Map<String, Object> schema = new LinkedHashMap<>();
        if (raw == List.class) {
            schema.put("type", "array");
            schema.put("items", value(ValueTypes.argument(type, 0), range, path + "[]"));
        } else if (raw == Map.class) {
            schema.put("type", "object");
            schema.put("additionalProperties", value(ValueTypes.argument(type, 1), range, path + "[]"));
        } else if (raw.isEnum()) {
            schema.put("enum", ValueTypes.constants(raw));
        } else if (raw != Object.class) {
            scalar(raw, schema);
            range.ifPresent(bounds -> bounds(bounds, schema));
        }
        return schema;
    }

    private static void scalar(Class<?> type, Map<String, Object> schema) {
        switch (type.getName()) {
            case "int",
                    "java.lang.Integer",
                    "long",
                    "java.lang.Long",
                    "java.util.OptionalInt",
                    "java.util.OptionalLong" -> schema.put("type", "integer");
            case "double", "java.lang.Double", "float", "java.lang.Float", "java.util.OptionalDouble" ->
                schema.put("type", "number");
            case "boolean", "java.lang.Boolean" -> schema.put("type", "boolean");
            case "java.time.Duration" -> {
                schema.put("type", "string");
                schema.put("pattern", "^\\d+\\s*(ms|s|m|h)$");
            }
            default -> schema.put("type", "string");
        }
    }

    private static void bounds(Range range, Map<String, Object> schema) {
        if (range.min() != Double.NEGATIVE_INFINITY) {
            schema.put(range.exclusiveMin() ? "exclusiveMinimum" : "minimum", range.min());
        }
        if (range.max() != Double.POSITIVE_INFINITY) {
            schema.put("maximum", range.max());
        }
    }
}
