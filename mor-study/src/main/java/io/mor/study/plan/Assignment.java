package io.mor.study.plan;

import io.mor.runtime.binding.ConfigNode;
import java.util.ArrayList;
import java.util.List;

/**
 * A config key and the value that an axis gives it.
 *
 * @param key path of the key, {@code router.type}
 * @param value what it is set to; a mapping sets the keys in it and leaves the others
 */
record Assignment(String key, ConfigNode value) {

    /** The same as single keys, in the order in which they must be set: an extension's type before its options, which it would drop. */
    static List<Assignment> singleKeys(List<Assignment> assignments) {
        List<Assignment> types = new ArrayList<>();
        List<Assignment> others = new ArrayList<>();
        for (Assignment assignment : assignments) {
            for (Assignment single : assignment.leaves()) {
                (single.key.endsWith(".type") ? types : others).add(single);
            }
        }
        types.addAll(others);
        return types;
    }

    private List<Assignment> leaves() {
        if (!(value instanceof ConfigNode.Mapping mapping) || mapping.entries().isEmpty()) {
            return List.of(this);
        }
        List<Assignment> leaves = new ArrayList<>();
        mapping.entries()
                .forEach((inner, node) ->
                        leaves.addAll(new Assignment(key.isEmpty() ? inner : key + "." + inner, node).leaves()));
        return leaves;
    }

    /** The value as an axis shows it: a scalar as written, else in one line of YAML. */
    String text() {
        return text(value);
    }

    private static String text(ConfigNode node) {
        return switch (node) {
            case ConfigNode.Scalar scalar -> scalar.text();
            case ConfigNode.Sequence sequence ->
                sequence.items().stream().map(Assignment::text).toList().toString();
            case ConfigNode.Mapping mapping -> {
                List<String> entries = new ArrayList<>();
                mapping.entries().forEach((inner, item) -> entries.add(inner + ": " + text(item)));
                yield "{" + String.join(", ", entries) + "}";
            }
        };
    }

    /** The value as a part of a variant's name: a text alone, anything else with the last part of its key. */
    String label() {
        String name = key.endsWith(".type") ? key.substring(0, key.length() - ".type".length()) : key;
        String last = name.substring(name.lastIndexOf('.') + 1);
        return switch (value) {
            case ConfigNode.Scalar scalar ->
                scalar.kind() == ConfigNode.Kind.TEXT
                        ? (scalar.text().equals("none") ? "no " + last : scalar.text())
                        : last + "=" + scalar.text();
            case ConfigNode.Sequence sequence -> last + "=" + text(sequence);
            case ConfigNode.Mapping mapping -> {
                List<String> parts = new ArrayList<>();
                mapping.entries().forEach((inner, item) -> parts.add(new Assignment(key + "." + inner, item).label()));
                yield String.join(" ", parts);
            }
        };
    }
}
