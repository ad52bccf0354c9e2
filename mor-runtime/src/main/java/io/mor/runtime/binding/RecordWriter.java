package io.mor.runtime.binding;

import io.mor.runtime.MorException;
import java.lang.reflect.RecordComponent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;

/** Records to trees that bind to equal records: keys in the order of the components, empty optionals left out. */
public final class RecordWriter {

    private RecordWriter() {}

    /** The tree of a record. */
    public static ConfigNode.Mapping write(Record record) {
        Map<String, ConfigNode> entries = new LinkedHashMap<>();
        for (RecordComponent component : record.getClass().getRecordComponents()) {
            Object value = RecordAccess.value(record, component);
            if (component.isAnnotationPresent(Inline.class)) {
                entries.putAll(write((Record) value).entries());
            } else if (component.isAnnotationPresent(OtherKeys.class)) {
                ((Map<?, ?>) value).forEach((key, other) -> entries.put((String) key, node(other)));
            } else {
                ConfigNode node = node(value);
                if (!node.isNull()) {
                    entries.put(Names.kebabCase(component.getName()), node);
                }
            }
        }
        return new ConfigNode.Mapping(entries, Origin.CODE);
    }

    private static ConfigNode node(Object value) {
        return switch (value) {
            case OptionalInt optional ->
                node(optional.isPresent() ? Optional.of(optional.getAsInt()) : Optional.empty());
            case OptionalLong optional ->
                node(optional.isPresent() ? Optional.of(optional.getAsLong()) : Optional.empty());
            case OptionalDouble optional ->
                node(optional.isPresent() ? Optional.of(optional.getAsDouble()) : Optional.empty());
            case Optional<?> optional -> optional.isPresent() ? node(optional.get()) : ConfigNode.of(null, Origin.CODE);
            case Duration duration -> ConfigNode.of(duration.toMillis() + "ms", Origin.CODE);
            case List<?> list -> {
                List<ConfigNode> items = new ArrayList<>();
                list.forEach(item -> items.add(node(item)));
                yield new ConfigNode.Sequence(items, Origin.CODE);
            }
            case Map<?, ?> map -> {
                Map<String, ConfigNode> entries = new LinkedHashMap<>();
                map.forEach((key, item) -> entries.put((String) key, node(item)));
                yield new ConfigNode.Mapping(entries, Origin.CODE);
            }
            case null -> throw new MorException("a config record holds a null");
            default -> ConfigNode.of(value, Origin.CODE);
        };
    }
}
