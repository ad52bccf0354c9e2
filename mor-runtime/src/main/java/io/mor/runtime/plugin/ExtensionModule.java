package io.mor.runtime.plugin;

import com.google.inject.AbstractModule;
import com.google.inject.Binder;
import java.lang.reflect.Constructor;
import java.util.Map;

/** The explicit bindings of one extension. */
final class ExtensionModule extends AbstractModule {

  private final Class<?> implementation;
  private final Constructor<?> constructor;
  private final Record config;
  private final Map<Class<?>, Object> bindings;

  ExtensionModule(Class<?> implementation, Constructor<?> constructor, Record config, Map<Class<?>, Object> bindings) {
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

  private static <T> void construct(Binder binder, Class<T> type, Constructor<?> constructor) {
    @SuppressWarnings("unchecked") // a constructor of type, found by reflection on it
    Constructor<T> own = (Constructor<T>) constructor;
    binder.bind(type).toConstructor(own);
  }
}
