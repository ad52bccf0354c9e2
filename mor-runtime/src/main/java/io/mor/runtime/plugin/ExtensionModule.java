package io.mor.runtime.plugin;

import com.google.inject.AbstractModule;
import com.google.inject.Binder;
import com.google.inject.Provider;
import io.mor.runtime.MorException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.UndeclaredThrowableException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The explicit bindings of one extension. */
final class ExtensionModule extends AbstractModule {

    private final Class<?> implementation;
    private final Constructor<?> constructor;
    private final Record config;
    private final Map<Class<?>, Object> bindings;

    ExtensionModule(
            Class<?> implementation, Constructor<?> constructor, Record config, Map<Class<?>, Object> bindings) {
        this.implementation = implementation;
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
        construct(binder, implementation, constructor);
    }

    private static <T> void bind(Binder binder, Class<T> type, Object instance) {
        binder.bind(type).toInstance(type.cast(instance));
    }

    /** By reflection rather than by Guice, which would generate classes and, on a class path, have the JVM warn of its ways. */
    private static <T> void construct(Binder binder, Class<T> type, Constructor<?> constructor) {
        List<Provider<?>> arguments = new ArrayList<>();
        for (Class<?> parameter : constructor.getParameterTypes()) {
            arguments.add(binder.getProvider(parameter));
        }
        binder.bind(type).toProvider(() -> type.cast(create(constructor, arguments)));
    }

    private static Object create(Constructor<?> constructor, List<Provider<?>> arguments) {
        try {
            return constructor.newInstance(arguments.stream().map(Provider::get).toArray());
        } catch (InvocationTargetException e) {
            switch (e.getCause()) {
                case RuntimeException unchecked -> throw unchecked;
                case Error error -> throw error;
                default -> throw new UndeclaredThrowableException(e.getCause());
            }
        } catch (InstantiationException | IllegalAccessException e) {
            throw new MorException(
                    constructor.getDeclaringClass().getName()
                            + " cannot be reached; it must be a public class in a package that its module exports",
                    e);
        }
    }
}
