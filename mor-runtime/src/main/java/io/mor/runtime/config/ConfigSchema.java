package io.mor.runtime.config;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.Range;
import io.mor.runtime.binding.ConfigNode;
import io.mor.runtime.binding.Inline;
import io.mor.runtime.binding.Names;
import io.mor.runtime.binding.OtherKeys;
import io.mor.runtime.binding.RecordKeys;
import io.mor.runtime.binding.ValueTypes;
import io.mor.runtime.plugin.FoundExtension;
import io.mor.runtime.plugin.PluginCatalog;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** The JSON Schema (2020-12) of configs, with the extensions that are there: for completion and checking in editors. */
public final class ConfigSchema {

  private final PluginCatalog catalog;

  private ConfigSchema(PluginCatalog catalog) {
    this.catalog = catalog;
  }

  /** The schema as JSON text. */
  public static String json(PluginCatalog catalog) {
    Map<String, Object> schema = new LinkedHashMap<>();
    schema.put("$schema", "https://json-schema.org/draft/2020-12/schema");
    schema.put("title", "mor experiment");
    schema.putAll(new ConfigSchema(catalog).mapping(ExperimentConfig.class, ""));
    asMap(schema.get("properties")).put("extends", Map.of("type", "string", "description", "a config file, relative to this one, that this one changes"));
    return JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build().writeValueAsString(schema);
  }

  @SuppressWarnings("unchecked") // made here, with text keys
  private static Map<String, Object> asMap(Object properties) {
    return (Map<String, Object>) properties;
  }

  private Map<String, Object> mapping(Class<? extends Record> type, String path) {
    Map<String, Object> schema = new LinkedHashMap<>();
    Map<String, Object> properties = new LinkedHashMap<>();
    List<String> required = new ArrayList<>();
    properties(type, path, properties, required);
    schema.put("type", "object");
    schema.put("properties", properties);
    if (!required.isEmpty()) {
      schema.put("required", required);
    }
    schema.put("additionalProperties", false);
    return schema;
  }

  private void properties(Class<? extends Record> type, String path, Map<String, Object> properties, List<String> required) {
    for (RecordComponent component : type.getRecordComponents()) {
      if (component.isAnnotationPresent(OtherKeys.class)) {
        continue;
      }
      if (component.isAnnotationPresent(Inline.class)) {
        properties(component.getType().asSubclass(Record.class), path, properties, required);
        continue;
      }
      String key = Names.kebabCase(component.getName());
      properties.put(key, property(component, path.isEmpty() ? key : path + "." + key));
      boolean nothing = RecordKeys.defaultValue(component).isEmpty() && ValueTypes.emptyOptional(component.getType()).isEmpty();
      if (nothing && !component.getType().isRecord()) {
        required.add(key);
      }
    }
  }

  private Map<String, Object> property(RecordComponent component, String path) {
    Map<String, Object> schema = new LinkedHashMap<>();
    if (!ConfigKey.help(component).isEmpty()) {
      schema.put("description", ConfigKey.help(component));
    }
    schema.putAll(value(component.getGenericType(), Optional.ofNullable(component.getAnnotation(Range.class)), path));
    RecordKeys.defaultValue(component).map(ConfigNode::toJava).ifPresent(standard -> schema.put("default", standard));
    return schema;
  }

  private Map<String, Object> value(Type type, Optional<Range> range, String path) {
    Class<?> raw = ValueTypes.raw(type);
    if (raw == ExtensionConfig.class) {
      return extension(path);
    }
    if (raw.isRecord()) {
      return mapping(raw.asSubclass(Record.class), path);
    }
    if (raw.isEnum()) {
      return Map.of("enum", ValueTypes.constants(raw));
    }
    return switch (raw.getName()) {
      case "int", "long", "java.lang.Integer", "java.lang.Long", "java.util.OptionalInt", "java.util.OptionalLong" -> number("integer", range);
      case "double", "float", "java.lang.Double", "java.lang.Float", "java.util.OptionalDouble" -> number("number", range);
      case "boolean", "java.lang.Boolean" -> Map.of("type", "boolean");
      case "java.util.Optional" ->
          path.equals("model.preset") ? Map.of("enum", ModelPresets.names()) : value(ValueTypes.argument(type, 0), range, path);
      case "java.util.List" -> {
        Map<String, Object> list = new LinkedHashMap<>();
        list.put("type", "array");
        list.put("items", value(ValueTypes.argument(type, 0), range, path));
        yield list;
      }
      case "java.util.Map" -> Map.of("type", "object", "additionalProperties", value(ValueTypes.argument(type, 1), range, path));
      case "java.lang.Object" -> Map.of();
      default -> Map.of("type", "string");
    };
  }

  private static Map<String, Object> number(String type, Optional<Range> range) {
    Map<String, Object> schema = new LinkedHashMap<>();
    schema.put("type", type);
    range.ifPresent(
        bounds -> {
          if (bounds.min() != Double.NEGATIVE_INFINITY) {
            schema.put(bounds.exclusiveMin() ? "exclusiveMinimum" : "minimum", bound(bounds.min()));
          }
          if (bounds.max() != Double.POSITIVE_INFINITY) {
            schema.put("maximum", bound(bounds.max()));
          }
        });
    return schema;
  }

  private static Number bound(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15 ? (Number) (long) value : (Number) value;
  }

  /** An id alone, or a mapping with the id as {@code type} and the extension's own keys. */
  private Map<String, Object> extension(String path) {
    Optional<ExtensionSection> section = ExtensionSection.at(path);
    ExtensionKind kind = section.map(ExtensionSection::kind).orElse(ExtensionKind.METRIC_SINK);
    List<String> ids = new ArrayList<>(section.map(ExtensionSection::reserved).orElse(List.of()));
    List<Object> alternatives = new ArrayList<>();
    for (FoundExtension found : catalog.extensions(kind)) {
      ids.add(found.extension().id());
      alternatives.add(options(found.extension(), path));
    }
    alternatives.addFirst(Map.of("enum", ids));
    return Map.of("anyOf", alternatives);
  }

  private Map<String, Object> options(Extension extension, String path) {
    Map<String, Object> schema = mapping(extension.config(), path + "." + extension.id());
    Map<String, Object> type = new LinkedHashMap<>();
    type.put("const", extension.id());
    type.put("description", extension.help());
    Map<String, Object> properties = new LinkedHashMap<>();
    properties.put("type", type);
    properties.putAll(asMap(schema.get("properties")));
    schema.put("properties", properties);
    return schema;
  }
}
