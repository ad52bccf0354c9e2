package io.mor.runtime.plugin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.block.BlockPlacement;
import io.mor.api.metric.MetricSink;
import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import io.mor.api.plugin.NoConfig;
import io.mor.api.plugin.Range;
import io.mor.runtime.MorException;
import io.mor.runtime.UsageException;
import jakarta.inject.Inject;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ExtensionFactoryTest {

    /** A sink that keeps what it was made of. */
    public abstract static class Kept implements MetricSink {
        Object[] given;

        Kept(Object... given) {
            this.given = given;
        }

        @Override
        public void record(long step, Map<String, Double> values) {}
    }

    /** A config. */
    public record Config(
            @DefaultValue("2") @Range(min = 1, max = 9) int level, Optional<String> note) {
        /** Refuses 7. */
        public Config {
            if (level == 7) {
                throw new IllegalArgumentException("seven is unlucky");
            }
        }
    }

    /** By annotation. */
    public static final class Annotated extends Kept {
        @Inject
        public Annotated(BlockPlacement placement, Config config) {
            super(placement, config);
        }

        public Annotated() {
            throw new AssertionError("not this one");
        }
    }

    /** By being the only one. */
    public static final class Only extends Kept {
        public Only(Config config) {
            super(config);
        }
    }

    /** Without arguments. */
    public static final class Empty extends Kept {}

    /** Ambiguous. */
    public static final class Ambiguous extends Kept {
        public Ambiguous(Config config) {}

        public Ambiguous(BlockPlacement placement) {}
    }

    /** Hidden. */
    public static final class Hidden extends Kept {
        @Inject
        Hidden() {}
    }

    /** Refuses. */
    public static final class Refusing extends Kept {
        public Refusing(Config config) {
            throw new IllegalArgumentException("level " + config.level() + " does not go with this model");
        }
    }

    /** Throws a checked exception. */
    public static final class Checked extends Kept {
        public Checked() throws IOException {
            throw new IOException("disk is gone");
        }
    }

    private static final MorPlugin PLUGIN = () -> List.of(
            extension("annotated", Annotated.class, Config.class),
            extension("only", Only.class, Config.class),
            extension("empty", Empty.class, NoConfig.class),
            extension("ambiguous", Ambiguous.class, Config.class),
            extension("hidden", Hidden.class, NoConfig.class),
            extension("refusing", Refusing.class, Config.class),
            extension("checked", Checked.class, NoConfig.class));

    private static Extension extension(String id, Class<?> type, Class<? extends Record> config) {
        return new Extension(ExtensionKind.METRIC_SINK, id, type, config, "a test");
    }

    private final PluginCatalog catalog = PluginCatalog.of(PLUGIN);
    private final ExtensionFactory factory = new ExtensionFactory(catalog);

    @AfterEach
    void close() {
        factory.close();
        catalog.close();
    }

    private Kept create(String id, Map<String, Object> options, Map<Class<?>, Object> bindings) {
        return factory.create(ExtensionKind.METRIC_SINK, id, options, bindings);
    }

    private String failure(Class<? extends MorException> type, String id, Map<String, Object> options) {
        return assertThrows(type, () -> create(id, options, Map.of())).getMessage();
    }

    @Test
    void theAnnotatedConstructorGetsTheConfigAndTheBindings() {
        BlockPlacement placement = new BlockPlacement(1, 2, 3);
        Kept made = create("annotated", Map.of("level", 5, "note", "x"), Map.of(BlockPlacement.class, placement));

        assertSame(placement, made.given[0]);
        assertEquals(new Config(5, Optional.of("x")), made.given[1]);
    }

    @Test
    void theOnlyPublicConstructorAndTheOneWithoutArgumentsNeedNoAnnotation() {
        assertEquals(new Config(2, Optional.empty()), create("only", Map.of(), Map.of()).given[0]);
        assertInstanceOf(Empty.class, create("empty", Map.of(), Map.of()));
        assertNotSame(create("empty", Map.of(), Map.of()), create("empty", Map.of(), Map.of()));
    }

    @Test
    void whatIsNotBoundIsNamedWithWhatIs() {
        String message = failure(MorException.class, "annotated", Map.of());
        assertTrue(message.contains("metric-sink 'annotated'"), message);
        assertTrue(
                message.contains("its constructor takes a io.mor.api.block.BlockPlacement; what it may take is "
                        + Config.class.getName()),
                message);
    }

    @Test
    void wrongOptionsAreUsageErrors() {
        assertTrue(failure(UsageException.class, "only", Map.of("lvel", 1))
                .contains("unknown key 'lvel' in metric-sink 'only'; did you mean 'level'?"));
        assertTrue(failure(UsageException.class, "only", Map.of("level", 10))
                .contains("metric-sink 'only'.level is 10; it must be at least 1 and at most 9"));
        assertTrue(failure(UsageException.class, "only", Map.of("level", 7)).contains("seven is unlucky"));
        assertTrue(failure(UsageException.class, "empty", Map.of("a", 1))
                .contains("unknown key 'a' in metric-sink 'empty'; it has none"));
        assertTrue(failure(UsageException.class, "refusing", Map.of()).endsWith("level 2 does not go with this model"));
    }

    @Test
    void checkedExceptionsOfConstructorsAreFailuresWithTheirCause() {
        MorException failure = assertThrows(MorException.class, () -> create("checked", Map.of(), Map.of()));
        assertTrue(
                failure.getMessage().endsWith("its constructor threw IOException: disk is gone"), failure.getMessage());
        assertInstanceOf(IOException.class, failure.getCause());
    }

    @Test
    void constructorsThatCannotBeChosenAreNamed() {
        assertTrue(failure(MorException.class, "ambiguous", Map.of())
                .contains("annotated @jakarta.inject.Inject; it needs exactly one"));
        assertTrue(failure(MorException.class, "hidden", Map.of()).contains("has no public constructor annotated"));
    }

    @Test
    void anUnknownIdListsWhatThereIsAndWhereItLooked() {
        assertEquals(
                "no metric-sink 'onyl'; did you mean 'only'?; there are ambiguous, annotated, checked, empty, hidden, only, refusing; looked in the plugins given by the host",
                failure(UsageException.class, "onyl", Map.of()));
        assertEquals(
                "no router 'x'; there is none at all; looked in the plugins given by the host",
                assertThrows(UsageException.class, () -> factory.create(ExtensionKind.ROUTER, "x", Map.of(), Map.of()))
                        .getMessage());
    }

    @Test
    void aClosedFactoryMakesNothing() {
        factory.close();
        assertThrows(IllegalStateException.class, () -> create("empty", Map.of(), Map.of()));
    }

    @Test
    void theHostsOwnPluginsAreFoundOnTheClassPath() {
        try (PluginCatalog found = PluginCatalog.discover()) {
            assertTrue(found.find(ExtensionKind.TOKENIZER, "byte").isPresent());
            assertEquals(List.of("the class path"), found.searched());
        }
    }
}
