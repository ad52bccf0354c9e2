package io.mor.runtime.binding;

import io.mor.runtime.UsageException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A place in a config tree: keys with dots between them, list elements as {@code [1]} or {@code .1}.
 *
 * @param text as given
 * @param steps keys and indices
 */
public record TreePath(String text, List<String> steps) {

    private static final Pattern STEP = Pattern.compile("(?:^|\\.)([A-Za-z0-9_-]+)|\\[(\\d+)]");

    /**
     * The path that a text says.
     *
     * @throws UsageException if it says none
     */
    public static TreePath of(String text) {
        List<String> steps = new ArrayList<>();
        Matcher matcher = STEP.matcher(text);
        int end = 0;
        while (matcher.find() && matcher.start() == end) {
            steps.add(matcher.group(1) == null ? matcher.group(2) : matcher.group(1));
            end = matcher.end();
        }
        if (end != text.length() || steps.isEmpty()) {
            throw new UsageException(
                    "'" + text + "' is no key; keys look like training.learning-rate or metrics.sinks[0].type");
        }
        return new TreePath(text, List.copyOf(steps));
    }

    /** The value there, if there is one. */
    public Optional<ConfigNode> get(ConfigNode.Mapping tree) {
        Optional<ConfigNode> node = Optional.of(tree);
        for (String step : steps) {
            node = node.flatMap(at -> switch (at) {
                case ConfigNode.Mapping mapping -> mapping.get(step);
                case ConfigNode.Sequence sequence -> element(sequence, step);
                case ConfigNode.Scalar scalar -> Optional.empty();
            });
        }
        return node;
    }

    private static Optional<ConfigNode> element(ConfigNode.Sequence sequence, String step) {
        boolean there = step.matches("\\d{1,9}")
                && Integer.parseInt(step) < sequence.items().size();
        return there ? Optional.of(sequence.items().get(Integer.parseInt(step))) : Optional.empty();
    }

    /**
     * The tree with a value there. Mappings on the way are made, a list can be changed and grown by one, and a text on the way becomes the
     * {@code type} of a mapping.
     */
    public ConfigNode.Mapping set(ConfigNode.Mapping tree, ConfigNode value) {
        return (ConfigNode.Mapping) set(tree, 0, value);
    }

    private ConfigNode set(ConfigNode at, int depth, ConfigNode value) {
        if (depth == steps.size()) {
            return value;
        }
        String step = steps.get(depth);
        return switch (at.expanded()) {
            case ConfigNode.Mapping mapping -> {
                ConfigNode below = mapping.get(step).orElseGet(() -> new ConfigNode.Mapping(Map.of(), value.origin()));
                yield mapping.with(step, set(below, depth + 1, value));
            }
            case ConfigNode.Sequence sequence -> setElement(sequence, step, depth, value);
            case ConfigNode.Scalar scalar ->
                throw new UsageException(
                        value.origin().prefix() + text + ": " + scalar.describe() + " has no keys below it");
        };
    }

    private ConfigNode setElement(ConfigNode.Sequence sequence, String step, int depth, ConfigNode value) {
        int size = sequence.items().size();
        if (!step.matches("\\d{1,9}") || Integer.parseInt(step) > size) {
            throw new UsageException(value.origin().prefix() + text + ": the list has elements 0 to " + (size - 1)
                    + ", '" + step + "' is none of them");
        }
        int index = Integer.parseInt(step);
        List<ConfigNode> items = new ArrayList<>(sequence.items());
        if (index == size) {
            items.add(new ConfigNode.Mapping(Map.of(), value.origin()));
        }
        items.set(index, set(items.get(index), depth + 1, value));
        return new ConfigNode.Sequence(items, sequence.origin());
    }
}
