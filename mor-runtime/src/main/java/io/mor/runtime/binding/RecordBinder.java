package io.mor.runtime.binding;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Range;
import io.mor.runtime.MorException;
import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Trees to records. A component {@code kvHeads} is the key {@code kv-heads}; {@link DefaultValue}, {@link Range}, {@link Inline} and {@link
 * OtherKeys} are honoured; a nested record without a default is bound from nothing, an {@link Optional} is empty, anything else that is
 * not given is required. Everything that is wrong goes to {@link Problems}, one message each. Not thread-safe.
 */
public final class RecordBinder {

    private final Problems problems;

    /** A binder that reports to {@code problems}. */
    public RecordBinder(Problems problems) {
        this.problems = problems;
    }

    /**
     * Binds or throws.
     *
     * @param path what messages call the tree, for example {@code router}; empty for a whole config
     * @throws io.mor.runtime.UsageException with everything that is wrong
     */
    public static <T extends Record> T bindOrThrow(Class<T> type, ConfigNode.Mapping tree, String path) {
        Problems problems = new Problems();
        Optional<T> bound = new RecordBinder(problems).bind(type, tree, path);
        problems.throwIfAny();
        return bound.orElseThrow(() -> new MorException("record " + type.getName() + " was not bound"));
    }

    /** The record, or empty if problems were reported. */
    public <T extends Record> Optional<T> bind(Class<T> type, ConfigNode.Mapping tree, String path) {
        checkKeys(type, tree, path);
        return components(type, tree, path);
    }

    private void checkKeys(Class<? extends Record> type, ConfigNode.Mapping tree, String path) {
        if (RecordKeys.takesOtherKeys(type)) {
            return;
        }
        List<String> known = RecordKeys.of(type);
        tree.entries().forEach((key, value) -> {
            if (!known.contains(key)) {
                String keys = known.isEmpty() ? "; it has none" : "; its keys are " + String.join(", ", known);
                problems.add(
                        value.origin(),
                        "unknown key '" + key + "' in " + (path.isEmpty() ? "the config" : path)
                                + Names.didYouMean(key, known) + keys);
            }
        });
    }

    private <T extends Record> Optional<T> components(Class<T> type, ConfigNode.Mapping tree, String path) {
        RecordComponent[] components = type.getRecordComponents();
        Object[] values = new Object[components.length];
        boolean complete = true;
        for (int i = 0; i < components.length; i++) {
            Optional<?> value = component(type, components[i], tree, path);
            complete &= value.isPresent();
            values[i] = value.orElse(null);
        }
        if (!complete) {
            return Optional.empty();
        }
        try {
            return Optional.of(RecordAccess.create(type, values));
        } catch (InvocationTargetException e) {
            String reason = e.getCause().getMessage() == null
                    ? e.getCause().toString()
                    : e.getCause().getMessage();
            boolean named = path.isEmpty() || reason.startsWith(path + ".");
            problems.add(tree.origin(), (named ? "" : path + ": ") + reason);
            return Optional.empty();
        }
    }

    private Optional<?> component(Class<?> owner, RecordComponent component, ConfigNode.Mapping tree, String path) {
        if (component.isAnnotationPresent(Inline.class)) {
            return components(component.getType().asSubclass(Record.class), tree, path);
        }
        if (component.isAnnotationPresent(OtherKeys.class)) {
            List<String> known = RecordKeys.of(owner.asSubclass(Record.class));
            Map<String, ConfigNode> others = new LinkedHashMap<>(tree.entries());
            known.forEach(others::remove);
            return Optional.of(new ConfigNode.Mapping(others, tree.origin()).toJava());
        }
        String key = Names.kebabCase(component.getName());
        String keyPath = path.isEmpty() ? key : path + "." + key;
        Optional<ConfigNode> given = tree.get(key);
        Optional<ConfigNode> standard = RecordKeys.defaultValue(component);
        if (given.isEmpty() && standard.isEmpty()) {
            return absent(component, tree, keyPath);
        }
        ConfigNode node = given.map(value -> over(component, value, standard)).orElseGet(standard::orElseThrow);
        return value(component.getGenericType(), component, node, keyPath);
    }

    /** A mapping that is given lies over one that is the default, so that {@code kv-cache: {window: 8}} keeps its type. */
    private static ConfigNode over(RecordComponent component, ConfigNode given, Optional<ConfigNode> standard) {
        if (!component.getType().isRecord() || standard.isEmpty()) {
            return given;
        }
        ConfigNode expanded = given.expanded();
        boolean merges = expanded instanceof ConfigNode.Mapping mapping
                && !mapping.entries().containsKey("type");
        return merges && standard.get().expanded() instanceof ConfigNode.Mapping below
                ? ((ConfigNode.Mapping) expanded).over(below)
                : given;
    }

    private Optional<?> absent(RecordComponent component, ConfigNode.Mapping tree, String path) {
        Optional<?> empty = ValueTypes.emptyOptional(component.getType());
        if (empty.isPresent()) {
            return empty;
        }
        if (component.getType().isRecord()) {
            return bind(
                    component.getType().asSubclass(Record.class),
                    new ConfigNode.Mapping(Map.of(), tree.origin()),
                    path);
        }
        problems.add(tree.origin(), path + " is missing; it has no default");
        return Optional.empty();
    }

    private Optional<?> value(Type type, AnnotatedElement annotations, ConfigNode node, String path) {
        Class<?> raw = ValueTypes.raw(type);
        if (raw.isRecord()) {
            return record(raw.asSubclass(Record.class), node, path);
        }
        if (raw == Optional.class) {
            return value(ValueTypes.argument(type, 0), annotations, node, path).map(Optional::of);
        }
        if (raw == List.class) {
            return list(type, annotations, node, path);
        }
        if (raw == Map.class) {
            return map(type, annotations, node, path);
        }
        if (raw == Object.class) {
            return Optional.of(node.toJava());
        }
        return scalar(raw, annotations, node, path);
    }

    private Optional<?> record(Class<? extends Record> type, ConfigNode node, String path) {
        ConfigNode expanded = RecordKeys.takesOtherKeys(type) ? node.expanded() : node;
        if (expanded instanceof ConfigNode.Mapping mapping) {
            return bind(type, mapping, path);
        }
        problems.add(
                node.origin(),
                path + " is " + node.describe() + "; it must be a mapping with the keys "
                        + String.join(", ", RecordKeys.of(type)));
        return Optional.empty();
    }

    private Optional<?> list(Type type, AnnotatedElement annotations, ConfigNode node, String path) {
        if (!(node instanceof ConfigNode.Sequence sequence)) {
            String example = node instanceof ConfigNode.Scalar scalar ? ", like [" + scalar.text() + "]" : "";
            problems.add(node.origin(), path + " is " + node.describe() + "; it must be a list" + example);
            return Optional.empty();
        }
        List<Object> items = new ArrayList<>();
        for (int i = 0; i < sequence.items().size(); i++) {
            value(ValueTypes.argument(type, 0), annotations, sequence.items().get(i), path + "[" + i + "]")
                    .ifPresent(items::add);
        }
        return items.size() == sequence.items().size() ? Optional.of(List.copyOf(items)) : Optional.empty();
    }

    private Optional<?> map(Type type, AnnotatedElement annotations, ConfigNode node, String path) {
        if (!(node instanceof ConfigNode.Mapping mapping)) {
            problems.add(node.origin(), path + " is " + node.describe() + "; it must be a mapping");
            return Optional.empty();
        }
        Map<String, Object> values = new LinkedHashMap<>();
        mapping.entries()
                .forEach((key, item) -> value(ValueTypes.argument(type, 1), annotations, item, path + "." + key)
                        .ifPresent(value -> values.put(key, value)));
        return values.size() == mapping.entries().size()
                ? Optional.of(Collections.unmodifiableMap(values))
                : Optional.empty();
    }

    private Optional<?> scalar(Class<?> type, AnnotatedElement annotations, ConfigNode node, String path) {
        if (!(node instanceof ConfigNode.Scalar scalar) || scalar.isNull()) {
            problems.add(node.origin(), path + " is " + node.describe() + "; it must be " + ValueTypes.describe(type));
            return Optional.empty();
        }
        Optional<?> value = ValueTypes.parse(type, scalar.text());
        if (value.isEmpty()) {
            String nearest = type.isEnum() ? Names.didYouMean(scalar.text(), ValueTypes.constants(type)) : "";
            problems.add(
                    node.origin(),
                    path + " is " + node.describe() + "; it must be " + ValueTypes.describe(type) + nearest);
            return Optional.empty();
        }
        Range range = annotations.getAnnotation(Range.class);
        if (range != null
                && ValueTypes.number(value.get()).isPresent()
                && !Ranges.contains(range, ValueTypes.number(value.get()).getAsDouble())) {
            problems.add(node.origin(), path + " is " + scalar.text() + "; it must be " + Ranges.describe(range));
            return Optional.empty();
        }
        return value;
    }
}
