package io.mor.runtime.binding;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A config value, or a tree of them, that knows where it was written. Immutable. */
public sealed interface ConfigNode {

    /** Where it was written. */
    Origin origin();

    /** What a message calls it: {@code 'abc'}, {@code a list}, {@code a mapping}. */
    String describe();

    /** As maps, lists, strings, numbers and booleans; mappings without their null entries. */
    Object toJava();

    /** How a scalar was written. */
    enum Kind {
        TEXT,
        INTEGER,
        DECIMAL,
        TRUTH,
        NULL
    }

    /**
     * A single value.
     *
     * @param text as written
     */
    record Scalar(Kind kind, String text, Origin origin) implements ConfigNode {

        @Override
        public String describe() {
            return kind == Kind.NULL ? "null" : "'" + text + "'";
        }

        @Override
        public Object toJava() {
            return switch (kind) {
                case TEXT -> text;
                case INTEGER -> integer(text.replace("_", ""));
                case DECIMAL -> Double.valueOf(text.replace("_", ""));
                case TRUTH -> Boolean.valueOf(text);
                case NULL -> Optional.empty();
            };
        }

        private static Object integer(String digits) {
            long value;
            try {
                value = Long.parseLong(digits);
            } catch (NumberFormatException tooLarge) {
                return Double.valueOf(digits);
            }
            return value == (int) value ? (Object) (int) value : (Object) value;
        }
    }

    /** Values in order. */
    record Sequence(List<ConfigNode> items, Origin origin) implements ConfigNode {

        /** Copies the items. */
        public Sequence {
            items = List.copyOf(items);
        }

        @Override
        public String describe() {
            return "a list";
        }

        @Override
        public Object toJava() {
            return items.stream().map(ConfigNode::toJava).toList();
        }
    }

    /** Values by key, in the order written. The origin of a value is the line of its key. */
    record Mapping(Map<String, ConfigNode> entries, Origin origin) implements ConfigNode {

        /** Nothing. */
        public static final Mapping EMPTY = new Mapping(Map.of(), Origin.CODE);

        /** Copies the entries. */
        public Mapping {
            entries = Collections.unmodifiableMap(new LinkedHashMap<>(entries));
        }

        @Override
        public String describe() {
            return "a mapping";
        }

        @Override
        public Map<String, Object> toJava() {
            Map<String, Object> values = new LinkedHashMap<>();
            entries.forEach((key, value) -> {
                if (!value.isNull()) {
                    values.put(key, value.toJava());
                }
            });
            return Collections.unmodifiableMap(values);
        }

        /** The value of a key, unless absent or null. */
        public Optional<ConfigNode> get(String key) {
            return Optional.ofNullable(entries.get(key)).filter(value -> !value.isNull());
        }

        /** With a key set or replaced in place. */
        public Mapping with(String key, ConfigNode value) {
            Map<String, ConfigNode> changed = new LinkedHashMap<>(entries);
            changed.put(key, value);
            return new Mapping(changed, origin);
        }

        /** Without a key. */
        public Mapping without(String key) {
            Map<String, ConfigNode> changed = new LinkedHashMap<>(entries);
            changed.remove(key);
            return new Mapping(changed, origin);
        }

        /** This over {@code below}: mappings are merged key by key, everything else replaces. */
        public Mapping over(Mapping below) {
            Map<String, ConfigNode> merged = new LinkedHashMap<>(below.entries);
            entries.forEach((key, value) -> merged.merge(
                    key,
                    value,
                    (old, given) -> old instanceof Mapping b && given instanceof Mapping a ? a.over(b) : given));
            return new Mapping(merged, origin);
        }
    }

    /** Whether it is a null, which counts as not given. */
    default boolean isNull() {
        return this instanceof Scalar scalar && scalar.kind() == Kind.NULL;
    }

    /**
     * This as an extension section: {@code expert-choice} is short for {@code {type: expert-choice}}.
     */
    default ConfigNode expanded() {
        if (this instanceof Scalar scalar && scalar.kind() == Kind.TEXT) {
            return new Mapping(Map.of("type", this), origin());
        }
        return this;
    }

    /**
     * A tree from Java values: maps with string keys, collections, numbers, booleans, strings, enums, paths, optionals, records, and nodes.
     *
     * @throws IllegalArgumentException for anything else
     */
    static ConfigNode of(Object value, Origin origin) {
        return switch (value) {
            case null -> new Scalar(Kind.NULL, "null", origin);
            case ConfigNode node -> node;
            case CharSequence text -> new Scalar(Kind.TEXT, text.toString(), origin);
            case Boolean truth -> new Scalar(Kind.TRUTH, truth.toString(), origin);
            case Double number -> new Scalar(Kind.DECIMAL, decimal(number.toString()), origin);
            case Float number -> new Scalar(Kind.DECIMAL, decimal(number.toString()), origin);
            case Number number -> new Scalar(Kind.INTEGER, number.toString(), origin);
            case Enum<?> constant -> new Scalar(Kind.TEXT, Names.kebabCase(constant), origin);
            case Path path -> new Scalar(Kind.TEXT, path.toString(), origin);
            case Optional<?> optional -> of(optional.orElse(null), origin);
            case Record record -> RecordWriter.write(record);
            case Collection<?> collection -> {
                List<ConfigNode> items = new ArrayList<>();
                collection.forEach(item -> items.add(of(item, origin)));
                yield new Sequence(items, origin);
            }
            case Map<?, ?> map -> {
                Map<String, ConfigNode> entries = new LinkedHashMap<>();
                map.forEach((key, item) -> entries.put(String.valueOf(key), of(item, origin)));
                yield new Mapping(entries, origin);
            }
            default ->
                throw new IllegalArgumentException(
                        "a config cannot hold a " + value.getClass().getName() + ": " + value);
        };
    }

    /** In full for common sizes, with a point or an exponent, and with the exponent's sign, without which YAML reads a text. */
    private static String decimal(String number) {
        String text = new BigDecimal(number).toString();
        return text.matches("-?\\d+") ? text + ".0" : text;
    }

    /** A tree of Java values given by code. */
    static Mapping of(Map<String, ?> values) {
        return (Mapping) of(values, Origin.CODE);
    }
}
