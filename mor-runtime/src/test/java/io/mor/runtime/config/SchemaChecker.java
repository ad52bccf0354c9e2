package io.mor.runtime.config;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;

/** Enough of a JSON Schema validator for the schemas made here; a keyword it does not know is a complaint. */
final class SchemaChecker {

    private static final Set<String> ANNOTATIONS = Set.of("$schema", "title", "description", "default");

    private SchemaChecker() {}

    /** What is wrong with a value, by path; empty if it is valid. */
    static List<String> check(JsonNode schema, JsonNode value, String path) {
        List<String> complaints = new ArrayList<>();
        for (Map.Entry<String, JsonNode> keyword : schema.properties()) {
            JsonNode rule = keyword.getValue();
            switch (keyword.getKey()) {
                case "type" -> {
                    if (!hasType(value, rule.asString())) {
                        complaints.add(path + " is no " + rule.asString());
                    }
                }
                case "const" -> expect(rule.equals(value), path + " is not " + rule, complaints);
                case "enum" ->
                    expect(rule.valueStream().anyMatch(value::equals), path + " is none of " + rule, complaints);
                case "minimum" ->
                    expect(
                            !value.isNumber() || value.doubleValue() >= rule.doubleValue(),
                            path + " is less than " + rule,
                            complaints);
                case "exclusiveMinimum" ->
                    expect(
                            !value.isNumber() || value.doubleValue() > rule.doubleValue(),
                            path + " is not more than " + rule,
                            complaints);
                case "maximum" ->
                    expect(
                            !value.isNumber() || value.doubleValue() <= rule.doubleValue(),
                            path + " is more than " + rule,
                            complaints);
                case "pattern" ->
                    expect(
                            !value.isString()
                                    || Pattern.compile(rule.asString())
                                            .matcher(value.asString())
                                            .find(),
                            path + " is not like " + rule,
                            complaints);
                case "required" ->
                    rule.forEach(key -> expect(
                            !value.isObject() || value.has(key.asString()),
                            path + " has no " + key.asString(),
                            complaints));
                case "properties" ->
                    rule.properties().forEach(property -> {
                        if (value.has(property.getKey())) {
                            complaints.addAll(check(
                                    property.getValue(), value.get(property.getKey()), path + "/" + property.getKey()));
                        }
                    });
                case "additionalProperties" -> additional(schema, rule, value, path, complaints);
                case "items" -> {
                    for (int i = 0; value.isArray() && i < value.size(); i++) {
                        complaints.addAll(check(rule, value.get(i), path + "/" + i));
                    }
                }
                case "oneOf" -> {
                    long matching = rule.valueStream()
                            .filter(form -> check(form, value, path).isEmpty())
                            .count();
                    expect(matching == 1, path + " matches " + matching + " forms", complaints);
                }
                default ->
                    expect(
                            ANNOTATIONS.contains(keyword.getKey()),
                            path + ": unknown keyword " + keyword.getKey(),
                            complaints);
            }
        }
        return complaints;
    }

    private static void additional(
            JsonNode schema, JsonNode rule, JsonNode value, String path, List<String> complaints) {
        for (Map.Entry<String, JsonNode> entry : value.properties()) {
            if (schema.has("properties") && schema.get("properties").has(entry.getKey())) {
                continue;
            }
            if (rule.isObject()) {
                complaints.addAll(check(rule, entry.getValue(), path + "/" + entry.getKey()));
            } else {
                expect(rule.booleanValue(), path + " has an unknown key " + entry.getKey(), complaints);
            }
        }
    }

    private static boolean hasType(JsonNode value, String type) {
        return switch (type) {
            case "object" -> value.isObject();
            case "array" -> value.isArray();
            case "string" -> value.isString();
            case "boolean" -> value.isBoolean();
            case "integer" -> value.isIntegralNumber();
            case "number" -> value.isNumber();
            default -> false;
        };
    }

    private static void expect(boolean holds, String complaint, List<String> complaints) {
        if (!holds) {
            complaints.add(complaint);
        }
    }
}
