package io.mor.testkit.api;

import io.mor.api.plugin.Stability;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The public types of a package and their members, as lines. */
final class ApiSignatures {

    private static final Set<String> OF_EVERY_RECORD = Set.of("equals", "hashCode", "toString");
    private static final Set<String> OF_EVERY_ENUM = Set.of("values", "valueOf");

    private ApiSignatures() {}

    /** A type and its nested public types. */
    static List<String> of(Class<?> type) {
        List<String> lines = new ArrayList<>();
        lines.add(header(type));
        members(type).forEach(member -> lines.add("    " + member));
        for (Class<?> nested : sorted(type.getDeclaredClasses(), Class::getName)) {
            if (Modifier.isPublic(nested.getModifiers())) {
                of(nested).forEach(line -> lines.add("    " + line));
            }
        }
        return lines;
    }

    private static String header(Class<?> type) {
        StringBuilder text = new StringBuilder();
        if (type.isSealed()) {
            text.append("sealed ");
        } else if (Modifier.isAbstract(type.getModifiers()) && !type.isInterface()) {
            text.append("abstract ");
        }
        text.append(
                type.isAnnotation()
                        ? "@interface "
                        : type.isInterface()
                                ? "interface "
                                : type.isRecord() ? "record " : type.isEnum() ? "enum " : "class ");
        text.append(type.getSimpleName()).append(typeVariables(type.getTypeParameters()));
        if (type.isRecord()) {
            text.append(Arrays.stream(type.getRecordComponents())
                    .map(component -> name(component.getGenericType()) + " " + component.getName())
                    .collect(Collectors.joining(", ", "(", ")")));
        }
        if (!type.isAnnotation()) {
            String supertypes = Stream.concat(
                            Stream.ofNullable(type.getGenericSuperclass()), Arrays.stream(type.getGenericInterfaces()))
                    .map(ApiSignatures::name)
                    .filter(name -> !name.equals("Object") && !name.equals("Record") && !name.startsWith("Enum<"))
                    .collect(Collectors.joining(", "));
            text.append(supertypes.isEmpty() ? "" : " is a " + supertypes);
        }
        Stability stability = type.getAnnotation(Stability.class);
        if (stability != null) {
            text.append("  (")
                    .append(stability.status().name().toLowerCase(Locale.ROOT))
                    .append(" since ")
                    .append(stability.since())
                    .append(")");
        }
        return text.toString();
    }

    private static Set<String> members(Class<?> type) {
        Set<String> lines = new TreeSet<>();
        if (type.isEnum()) {
            lines.add("constants "
                    + Arrays.stream(type.getEnumConstants())
                            .map(Object::toString)
                            .collect(Collectors.joining(", ")));
        }
        for (Field field : type.getDeclaredFields()) {
            if (isVisible(field.getModifiers()) && !field.isEnumConstant() && !field.isSynthetic()) {
                lines.add("field " + (Modifier.isStatic(field.getModifiers()) ? "static " : "")
                        + name(field.getGenericType()) + " " + field.getName());
            }
        }
        if (!type.isRecord() && !type.isEnum()) {
            for (Constructor<?> constructor : type.getDeclaredConstructors()) {
                if (isVisible(constructor.getModifiers())) {
                    lines.add("constructor " + parameters(constructor.getGenericParameterTypes()));
                }
            }
        }
        for (Method method : type.getDeclaredMethods()) {
            if (isVisible(method.getModifiers()) && !method.isSynthetic() && !isImplied(type, method)) {
                lines.add(signature(type, method));
            }
        }
        return lines;
    }

    private static boolean isImplied(Class<?> type, Method method) {
        Set<String> accessors = type.isRecord()
                ? Arrays.stream(type.getRecordComponents())
                        .map(RecordComponent::getName)
                        .collect(Collectors.toSet())
                : Set.of();
        return type.isRecord() && OF_EVERY_RECORD.contains(method.getName())
                || type.isRecord() && accessors.contains(method.getName()) && method.getParameterCount() == 0
                || type.isEnum() && OF_EVERY_ENUM.contains(method.getName());
    }

    private static String signature(Class<?> type, Method method) {
        String kind = Modifier.isStatic(method.getModifiers())
                ? "static"
                : isRequired(method) ? "required" : type.isInterface() ? "default" : "method";
        if (type.isAnnotation()) {
            kind = method.getDefaultValue() == null ? "required" : "default";
        }
        String failures = Arrays.stream(method.getGenericExceptionTypes())
                .map(ApiSignatures::name)
                .collect(Collectors.joining(", "));
        String variables = typeVariables(method.getTypeParameters());
        return kind + " " + (variables.isEmpty() ? "" : variables + " ") + name(method.getGenericReturnType()) + " "
                + method.getName() + parameters(method.getGenericParameterTypes())
                + (failures.isEmpty() ? "" : " throws " + failures);
    }

    /** Whether who implements the type must write it. */
    static boolean isRequired(Method method) {
        return Modifier.isAbstract(method.getModifiers());
    }

    private static boolean isVisible(int modifiers) {
        return Modifier.isPublic(modifiers) || Modifier.isProtected(modifiers);
    }

    private static String parameters(Type[] types) {
        return Arrays.stream(types).map(ApiSignatures::name).collect(Collectors.joining(", ", "(", ")"));
    }

    private static String typeVariables(TypeVariable<?>[] variables) {
        return variables.length == 0
                ? ""
                : Arrays.stream(variables).map(TypeVariable::getName).collect(Collectors.joining(", ", "<", ">"));
    }

    /** Without packages: what is meant is clear within one API. */
    private static String name(Type type) {
        return type.getTypeName().replaceAll("\\b([a-z][a-z0-9]*\\.)+", "").replace('$', '.');
    }

    private static <T> List<T> sorted(T[] values, Function<T, String> key) {
        return Arrays.stream(values).sorted(Comparator.comparing(key)).toList();
    }
}
