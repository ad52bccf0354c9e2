package io.mor.runtime.plugin;

import com.google.inject.AbstractModule;
import com.google.inject.CreationException;
import com.google.inject.Guice;
import com.google.inject.Injector;
import com.google.inject.Stage;
import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import io.mor.runtime.binding.ConfigNode;
import io.mor.runtime.binding.RecordBinder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Constructor;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Makes extensions by name: binds the config record, then injects it, the given bindings and nothing else into the implementation's
 * constructor. One factory, with one injector, per experiment; closing it drops the injector. Thread safety: safe for concurrent use.
 */
public final class ExtensionFactory implements AutoCloseable {

    private final PluginCatalog catalog;
    private final AtomicReference<Injector> injector = new AtomicReference<>();

    /** A factory of the extensions in a catalog; the catalog stays the caller's to close. */
    public ExtensionFactory(PluginCatalog catalog) {
        this.catalog = catalog;
        injector.set(Guice.createInjector(Stage.PRODUCTION, new AbstractModule() {
            @Override
            protected void configure() {
                binder().requireExplicitBindings();
            }
        }));
    }

    /** The extensions it can make. */
    public PluginCatalog catalog() {
        return catalog;
    }

    /**
     * A new instance.
     *
     * @param <T> the kind's interface
     * @param options the keys of the extension's section, without {@code type}; as {@link java.util.Map}s, lists, texts, numbers, booleans
     * @param bindings what constructors may ask for besides the config record, by exact type, for example {@code ModelShape.class}
     * @throws UsageException if the id is not there or the options are wrong
     * @throws MorException if the extension cannot be made; the message names it and its plugin
     */
    public <T> T create(ExtensionKind kind, String id, Map<String, Object> options, Map<Class<?>, Object> bindings) {
        FoundExtension found = catalog.get(kind, id);
        return create(found, config(found.extension(), options), bindings);
    }

    /** The config record of an extension. */
    public static Record config(Extension extension, Map<String, Object> options) {
        return RecordBinder.bindOrThrow(
                extension.config(), ConfigNode.of(options), extension.kind().id() + " '" + extension.id() + "'");
    }

    /**
     * A new instance with a config record made before.
     *
     * @param <T> the kind's interface
     */
    public <T> T create(FoundExtension found, Record config, Map<Class<?>, Object> bindings) {
        Injector parent = injector.get();
        if (parent == null) {
            throw new IllegalStateException("the extension factory is closed");
        }
        try {
            Constructor<?> constructor = InjectedConstructor.of(found, config.getClass(), bindings.keySet());
            Injector child = parent.createChildInjector(new ExtensionModule(constructor, config, bindings));
            ExtensionModule.Outcome outcome = child.getInstance(ExtensionModule.Outcome.class);
            if (outcome.failure().isPresent()) {
                Throwable thrown = outcome.failure().get();
                if (thrown instanceof VirtualMachineError fatal) {
                    throw fatal;
                }
                throw failure(found, thrown);
            }
            @SuppressWarnings("unchecked") // Extension checks that the implementation implements the kind's interface
            T instance = (T) outcome.instance().orElseThrow();
            return instance;
        } catch (CreationException e) {
            throw new MorException(
                    "cannot wire " + found.describe() + ": "
                            + e.getErrorMessages().iterator().next().getMessage(),
                    e);
        } catch (LinkageError e) {
            throw failure(found, e);
        }
    }

    private static MorException failure(FoundExtension found, Throwable cause) {
        if (cause instanceof UsageException usage) {
            return usage;
        }
        if (cause instanceof IllegalArgumentException refused) {
            return new UsageException("cannot make " + found.describe() + ": " + refused.getMessage(), refused);
        }
        if (cause instanceof MorException own) {
            return new MorException("cannot make " + found.describe() + ": " + own.getMessage(), own);
        }
        return new MorException("cannot make " + found.describe() + ": " + reason(cause), cause);
    }

    /** A plugin's own kind of exception, and a message about reading or writing, are made for the user; others need their name beside it. */
    private static String reason(Throwable cause) {
        if (cause instanceof LinkageError) {
            return LoadedPlugin.reason(cause);
        }
        if (cause instanceof UncheckedIOException wrapped && wrapped.getCause().getClass() == IOException.class) {
            return wrapped.getCause().getMessage();
        }
        boolean own = !cause.getClass().getName().startsWith("java.") && cause.getMessage() != null;
        return own ? cause.getMessage() : "its constructor threw " + LoadedPlugin.reason(cause);
    }

    /** Drops the injector. */
    @Override
    public void close() {
        injector.set(null);
    }
}
