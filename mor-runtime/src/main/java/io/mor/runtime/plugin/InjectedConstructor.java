package io.mor.runtime.plugin;

import io.mor.runtime.MorException;
import jakarta.inject.Inject;
import java.lang.reflect.Constructor;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Which constructor of an implementation is called, with messages for its author. */
final class InjectedConstructor {

    private InjectedConstructor() {}

    /** The public constructor annotated {@code @Inject}, else the only public one, else the public one without parameters. */
    static Constructor<?> of(FoundExtension found, Class<?> config, Set<Class<?>> bound) {
        Class<?> type = found.extension().implementation();
        Constructor<?> constructor = choose(found, type);
        if (!Modifier.isPublic(type.getModifiers()) || Modifier.isAbstract(type.getModifiers())) {
            throw new MorException("cannot make " + found.describe() + ": " + type.getName()
                    + " must be a public class that is not abstract");
        }
        for (Class<?> parameter : constructor.getParameterTypes()) {
            if (parameter != config && !bound.contains(parameter)) {
                Set<String> available =
                        new TreeSet<>(bound.stream().map(Class::getName).toList());
                available.add(config.getName());
                throw new MorException("cannot make "
                        + found.describe()
                        + ": its constructor takes a "
                        + parameter.getName()
                        + "; what it may take is "
                        + available.stream().collect(Collectors.joining(", ")));
            }
        }
        return constructor;
    }

    private static Constructor<?> choose(FoundExtension found, Class<?> type) {
        List<Constructor<?>> all = List.of(type.getConstructors());
        List<Constructor<?>> annotated = all.stream()
                .filter(constructor -> constructor.isAnnotationPresent(Inject.class))
                .toList();
        if (annotated.size() == 1) {
            return annotated.getFirst();
        }
        if (annotated.isEmpty() && all.size() == 1) {
            return all.getFirst();
        }
        boolean hidden = Arrays.stream(type.getDeclaredConstructors())
                .anyMatch(constructor -> constructor.isAnnotationPresent(Inject.class));
        if (annotated.isEmpty() && !hidden) {
            for (Constructor<?> constructor : all) {
                if (constructor.getParameterCount() == 0) {
                    return constructor;
                }
            }
        }
        throw new MorException("cannot make "
                + found.describe()
                + ": "
                + type.getName()
                + (annotated.size() > 1 ? " has several constructors" : " has no public constructor")
                + " annotated @jakarta.inject.Inject; it needs exactly one");
    }
}
