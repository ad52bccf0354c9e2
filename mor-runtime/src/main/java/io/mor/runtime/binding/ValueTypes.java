package io.mor.runtime.binding;

import io.mor.runtime.MorException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The types that a config value may have. */
public final class ValueTypes {

    private static final Pattern DURATION = Pattern.compile("(\\d+)\\s*(ms|s|m|h)");

    private ValueTypes() {}

    /** The class of a type. */
    public static Class<?> raw(Type type) {
        return switch (type) {
            case Class<?> plain -> plain;
            case ParameterizedType parameterized -> (Class<?>) parameterized.getRawType();
            default -> throw new MorException("a config record cannot have a component of type " + type);
        };
    }

    /** What a parameterised type holds. */
    public static Type argument(Type type, int index) {
        if (type instanceof ParameterizedType parameterized) {
            return parameterized.getActualTypeArguments()[index];
        }
        throw new MorException("a config record must say what " + type + " holds");
    }

    /** The empty value of an optional type; empty if the type is no optional one. */
    public static Optional<?> emptyOptional(Class<?> type) {
        if (type == Optional.class) {
            return Optional.of(Optional.empty());
        }
        if (type == OptionalInt.class) {
            return Optional.of(OptionalInt.empty());
        }
        if (type == OptionalLong.class) {
            return Optional.of(OptionalLong.empty());
        }
        return type == OptionalDouble.class ? Optional.of(OptionalDouble.empty()) : Optional.empty();
    }

    /** The value that a text stands for, or empty if it stands for none of that type. */
    static Optional<?> parse(Class<?> type, String text) {
        try {
            return switch (type.getName()) {
                case "int", "java.lang.Integer" -> Optional.of(decimal(text).intValueExact());
                case "long", "java.lang.Long" -> Optional.of(decimal(text).longValueExact());
                case "double", "java.lang.Double" -> Optional.of(finite(text));
                case "float", "java.lang.Float" -> Optional.of((float) finite(text));
                case "boolean", "java.lang.Boolean" ->
                    text.equals("true")
                            ? Optional.of(true)
                            : text.equals("false") ? Optional.of(false) : Optional.empty();
                case "java.lang.String" -> Optional.of(text);
                case "java.nio.file.Path" -> Optional.of(Path.of(text));
                case "java.time.Duration" -> duration(text);
                case "java.util.OptionalInt" ->
                    Optional.of(OptionalInt.of(decimal(text).intValueExact()));
                case "java.util.OptionalLong" ->
                    Optional.of(OptionalLong.of(decimal(text).longValueExact()));
                case "java.util.OptionalDouble" -> Optional.of(OptionalDouble.of(finite(text)));
                default -> constant(type, text);
            };
        } catch (ArithmeticException | NumberFormatException | InvalidPathException e) {
            return Optional.empty();
        }
    }

    private static double finite(String text) {
        double value = decimal(text).doubleValue();
        if (Double.isInfinite(value)) {
            throw new NumberFormatException(text);
        }
        return value;
    }

    private static BigDecimal decimal(String text) {
        return new BigDecimal(text.replace("_", ""));
    }

    private static Optional<Duration> duration(String text) {
        Matcher matcher = DURATION.matcher(text);
        if (!matcher.matches()) {
            return Optional.empty();
        }
        long count = Long.parseLong(matcher.group(1));
        return Optional.of(
                switch (matcher.group(2)) {
                    case "ms" -> Duration.ofMillis(count);
                    case "s" -> Duration.ofSeconds(count);
                    case "m" -> Duration.ofMinutes(count);
                    default -> Duration.ofHours(count);
                });
    }

    private static Optional<?> constant(Class<?> type, String text) {
        if (!type.isEnum()) {
            throw new MorException("a config record cannot have a component of type " + type.getName());
        }
        return Arrays.stream(type.getEnumConstants())
                .filter(constant -> Names.kebabCase((Enum<?>) constant).equals(text))
                .findFirst();
    }

    /** The constants of an enum as configs spell them. */
    public static List<String> constants(Class<?> type) {
        return Arrays.stream(type.getEnumConstants())
                .map(constant -> Names.kebabCase((Enum<?>) constant))
                .toList();
    }

    static OptionalDouble number(Object value) {
        return switch (value) {
            case Number number -> OptionalDouble.of(number.doubleValue());
            case OptionalInt optional when optional.isPresent() -> OptionalDouble.of(optional.getAsInt());
            case OptionalLong optional when optional.isPresent() -> OptionalDouble.of(optional.getAsLong());
            case OptionalDouble optional -> optional;
            default -> OptionalDouble.empty();
        };
    }

    /** "a whole number", "one of a, b". */
    static String describe(Class<?> type) {
        if (type.isEnum()) {
            return "one of " + String.join(", ", constants(type));
        }
        return switch (type.getName()) {
            case "int", "java.lang.Integer", "java.util.OptionalInt" -> "a whole number";
            case "long", "java.lang.Long", "java.util.OptionalLong" -> "a whole number";
            case "double", "java.lang.Double", "float", "java.lang.Float", "java.util.OptionalDouble" -> "a number";
            case "boolean", "java.lang.Boolean" -> "true or false";
            case "java.nio.file.Path" -> "a path";
            case "java.time.Duration" -> "a duration, like 500ms, 30s, 5m or 2h";
            default -> "a text";
        };
    }
}
