package io.mor.runtime.plugin;

import com.google.inject.AbstractModule;
import com.google.inject.Binder;
import com.google.inject.Provider;
import io.mor.runtime.MorException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The explicit bindings of one extension. */
final class ExtensionModule extends AbstractModule {

    private final Constructor<?> constructor;
    private final Record config;
    private final Map<Class<?>, Object> bindings;

    ExtensionModule(Constructor<?> constructor, Record config, Map<Class<?>, Object> bindings) {
        this.constructor = constructor;
        this.config = config;
        this.bindings = Map.copyOf(bindings);
    }

    @Override
    protected void configure() {
        Binder binder = binder();
        bindings.forEach((type, instance) -> bind(binder, type, instance));
        if (!bindings.containsKey(config.getClass())) {
            bind(binder, config.getClass(), config);
        }
        construct(binder, constructor);
    }

    private static <T> void bind(Binder binder, Class<T> type, Object instance) {
        binder.bind(type).toInstance(type.cast(instance));
    }

    /**
     * What a constructor gave: an instance, or what it threw. A value rather than an exception within Guice, because that would look for line
     * numbers, for which its class reader is too old, and log a warning.
     *
     * @param instance empty where it failed
     * @param failure empty where it did not
     */
    record Outcome(Optional<Object> instance, Optional<Throwable> failure) {}

    /** By reflection rather than by Guice, which would generate classes and, on a class path, have the JVM warn of its ways. */
    private static void construct(Binder binder, Constructor<?> constructor) {
        List<Provider<?>> arguments = new ArrayList<>();
        for (Class<?> parameter : constructor.getParameterTypes()) {
            arguments.add(binder.getProvider(parameter));
        }
        binder.bind(Outcome.class).toProvider(() -> create(constructor, arguments));
    }

    private static Outcome create(Constructor<?> constructor, List<Provider<?>> arguments) {
        try {
            Object[] values = arguments.stream().map(Provider::get).toArray();
            return new Outcome(Optional.of(constructor.newInstance(values)), Optional.empty());
        } catch (InvocationTargetException e) {
            return new Outcome(Optional.empty(), Optional.of(e.getCause()));
        } catch (InstantiationException | IllegalAccessException e) {
            return new Outcome(
                    Optional.empty(),
                    Optional.of(new MorException(
                            constructor.getDeclaringClass().getName()
                                    + " cannot be reached; it must be a public class in a package that its module exports",
                            e)));
        } catch (LinkageError e) {
            return new Outcome(Optional.empty(), Optional.of(e));
        }
    }
}
