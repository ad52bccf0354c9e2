package io.mor.study.plan;

import io.mor.runtime.UsageException;
import io.mor.runtime.binding.ConfigNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * One dimension of a study. Dimensions multiply.
 *
 * <p>{@code grid: {key: [values], ...}} is every combination of the values, {@code zip} the first values of all keys, then the second ones, and so
 * on, {@code list} names every point: {@code [{key: value, ...}, ...]}, each with a {@code name} if wanted.
 */
sealed interface Axis {

    /** How many points it has. */
    double size();

    /** The points. */
    List<Choice> choices();

    /** Every combination. */
    record Grid(Map<String, List<Assignment>> values) implements Axis {

        @Override
        public double size() {
            return values.values().stream().mapToDouble(List::size).reduce(1, (a, b) -> a * b);
        }

        @Override
        public List<Choice> choices() {
            List<List<Assignment>> points = List.of(List.of());
            for (List<Assignment> key : values.values()) {
                List<List<Assignment>> longer = new ArrayList<>();
                for (List<Assignment> point : points) {
                    for (Assignment value : key) {
                        List<Assignment> extended = new ArrayList<>(point);
                        extended.add(value);
                        longer.add(extended);
                    }
                }
                points = longer;
            }
            return points.stream().map(Choice::of).toList();
        }
    }

    /** Named one by one. */
    record Listed(List<Choice> choices) implements Axis {

        @Override
        public double size() {
            return choices.size();
        }
    }

    /** The axes of a list in a study file. */
    static List<Axis> of(ConfigNode node, String section) {
        if (!(node instanceof ConfigNode.Sequence sequence)) {
            throw new UsageException(node.origin().prefix() + section + " is " + node.describe()
                    + "; it must be a list of grid, zip and list entries, like [{grid: {router.alpha: [0.1, 1]}}]");
        }
        List<Axis> axes = new ArrayList<>();
        for (ConfigNode item : sequence.items()) {
            if (!(item instanceof ConfigNode.Mapping mapping)
                    || mapping.entries().size() != 1) {
                throw new UsageException(
                        item.origin().prefix() + "an entry of " + section + " has one key: grid, zip or list");
            }
            Map.Entry<String, ConfigNode> entry =
                    mapping.entries().entrySet().iterator().next();
            axes.add(
                    switch (entry.getKey()) {
                        case "grid" -> new Grid(values(entry.getValue(), "grid"));
                        case "zip" -> zip(entry.getValue());
                        case "list" -> listed(entry.getValue());
                        default ->
                            throw new UsageException(entry.getValue().origin().prefix() + "unknown key '"
                                    + entry.getKey() + "' in " + section + "; its entries are grid, zip and list");
                    });
        }
        return List.copyOf(axes);
    }

    private static Map<String, List<Assignment>> values(ConfigNode node, String kind) {
        if (!(node instanceof ConfigNode.Mapping mapping)) {
            throw new UsageException(node.origin().prefix() + kind + " is " + node.describe()
                    + "; it must be a mapping of config keys to lists of values");
        }
        if (mapping.entries().isEmpty()) {
            throw new UsageException(
                    node.origin().prefix() + "this " + kind + " is empty: name a config key and its values");
        }
        Map<String, List<Assignment>> values = new LinkedHashMap<>();
        mapping.entries().forEach((key, given) -> {
            if (!(given instanceof ConfigNode.Sequence sequence)) {
                throw new UsageException(given.origin().prefix() + "axis " + key + " is " + given.describe()
                        + "; it must be a list of values");
            }
            if (sequence.items().isEmpty()) {
                throw new UsageException(given.origin().prefix() + "axis " + key
                        + " has no values, so the study has no trials; give at least one, or leave the axis out");
            }
            values.put(
                    key,
                    sequence.items().stream()
                            .map(value -> new Assignment(key, value))
                            .toList());
        });
        return values;
    }

    private static Axis zip(ConfigNode node) {
        Map<String, List<Assignment>> values = values(node, "zip");
        int length = values.values().iterator().next().size();
        values.forEach((key, list) -> {
            if (list.size() != length) {
                throw new UsageException(node.origin().prefix() + "the keys of a zip need equally many values; "
                        + values.keySet().iterator().next() + " has " + length + ", " + key + " has " + list.size());
            }
        });
        List<Choice> points = new ArrayList<>();
        for (int i = 0; i < length; i++) {
            int at = i;
            points.add(
                    Choice.of(values.values().stream().map(list -> list.get(at)).toList()));
        }
        return new Listed(points);
    }

    private static Axis listed(ConfigNode node) {
        if (!(node instanceof ConfigNode.Sequence sequence) || sequence.items().isEmpty()) {
            throw new UsageException(node.origin().prefix() + "list is "
                    + (node instanceof ConfigNode.Sequence ? "empty" : node.describe())
                    + "; it must be a list of points, each a mapping of config keys to values");
        }
        return new Listed(sequence.items().stream().map(Axis::choice).toList());
    }

    /** One point: a mapping of keys to values, {@code name} being what it is called. */
    static Choice choice(ConfigNode node) {
        if (!(node instanceof ConfigNode.Mapping mapping)) {
            throw new UsageException(node.origin().prefix() + "a point is " + node.describe()
                    + "; it must be a mapping of config keys to values");
        }
        Optional<String> name = mapping.get("name").map(text -> new Assignment("name", text).text());
        List<Assignment> assignments = new ArrayList<>();
        mapping.without("name").entries().forEach((key, value) -> assignments.add(new Assignment(key, value)));
        return name.isPresent() ? new Choice(name.get(), assignments) : Choice.of(assignments);
    }
}
