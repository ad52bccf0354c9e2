package io.mor.runtime.binding;

import io.mor.api.plugin.DefaultValue;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The keys of a record. */
public final class RecordKeys {

    private RecordKeys() {}

    /** Its keys in order, those of inlined records among them, other keys left out. */
    public static List<String> of(Class<? extends Record> type) {
        List<String> keys = new ArrayList<>();
        for (RecordComponent component : type.getRecordComponents()) {
            if (component.isAnnotationPresent(Inline.class)) {
                keys.addAll(of(component.getType().asSubclass(Record.class)));
            } else if (!component.isAnnotationPresent(OtherKeys.class)) {
                keys.add(Names.kebabCase(component.getName()));
            }
        }
        return keys;
    }

    /** Whether it takes any key. */
    public static boolean takesOtherKeys(Class<? extends Record> type) {
        return Arrays.stream(type.getRecordComponents())
                .anyMatch(component -> component.isAnnotationPresent(OtherKeys.class));
    }

    /** The default of a component: its own, else that of its type. */
    public static Optional<ConfigNode> defaultValue(RecordComponent component) {
        DefaultValue own = component.getAnnotation(DefaultValue.class);
        DefaultValue annotation = own != null ? own : component.getType().getAnnotation(DefaultValue.class);
        if (annotation == null) {
            return Optional.empty();
        }
        if (annotation.value().isEmpty() && component.getType() == String.class) {
            return Optional.of(ConfigNode.of("", Origin.CODE));
        }
        return Optional.of(Yaml.read(
                annotation.value(),
                "default of " + Names.kebabCase(component.getName()) + " in "
                        + component.getDeclaringRecord().getSimpleName()));
    }
}
