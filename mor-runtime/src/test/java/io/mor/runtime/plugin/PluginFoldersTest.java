package io.mor.runtime.plugin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.plugin.TestHosts.Host;
import java.io.IOException;
import java.lang.ref.WeakReference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Plugins from folders, each test in a host on the class path and in one that is a named module. */
class PluginFoldersTest {

    @TempDir
    Path temporary;

    private Path plugins;

    static Stream<Host> hosts() {
        return TestHosts.all();
    }

    @BeforeEach
    void makeFolder() throws IOException {
        plugins = Files.createDirectory(temporary.resolve("plugins"));
    }

    private String failure(Host host) {
        Exception failure = assertThrows(Exception.class, () -> {
            try (AutoCloseable catalog = host.discover(List.of(plugins))) {
                host.tokenizer(catalog, "test", Map.of());
            }
        });
        assertTrue(failure.getClass().getName().startsWith("io.mor.runtime."), failure.toString());
        return failure.getMessage();
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aJarIsAPlugin(Host host) throws Exception {
        Path jar =
                PluginJar.tokenizer("one", "test", "\"size \" + config.size()").build(plugins.resolve("one.jar"));
        Files.writeString(plugins.resolve("notes.txt"), "not a plugin");

        try (AutoCloseable catalog = host.discover(List.of(plugins))) {
            assertTrue(
                    host.extensions(catalog).contains("tokenizer 'test' of one (" + jar + ")"),
                    host.extensions(catalog).toString());
            assertEquals("size 3", host.fingerprint(host.tokenizer(catalog, "test", Map.of())));
            assertEquals("size 5", host.fingerprint(host.tokenizer(catalog, "test", Map.of("size", 5))));
        }
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void twoPluginsMayBringDifferentVersionsOfALibrary(Host host) throws Exception {
        for (String version : List.of("1", "2")) {
            Path folder = plugins.resolve("v" + version);
            Path library = new PluginJar()
                    .source(
                            "lib.Version",
                            "package lib; public final class Version { public static String text() { return \""
                                    + version + "\"; } }")
                    .module("module lib { exports lib; }")
                    .build(folder.resolve("lib.jar"));
            PluginJar.tokenizer("user" + version, "user-" + version, "lib.Version.text()")
                    .with(library)
                    .replace("module-info", "requires io.mor.api;", "requires io.mor.api; requires lib;")
                    .build(folder.resolve("user.jar"));
        }

        try (AutoCloseable catalog = host.discover(List.of(plugins))) {
            assertEquals("1", host.fingerprint(host.tokenizer(catalog, "user-1", Map.of())));
            assertEquals("2", host.fingerprint(host.tokenizer(catalog, "user-2", Map.of())));
        }
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aPluginWithoutADescriptorWorksToo(Host host) throws Exception {
        PluginJar.tokenizer("plain", "test", "\"plain\"")
                .without("module-info.java")
                .build(plugins.resolve("plain.jar"));

        try (AutoCloseable catalog = host.discover(List.of(plugins))) {
            assertEquals("plain", host.fingerprint(host.tokenizer(catalog, "test", Map.of())));
        }
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aPluginSeesTheApiAndNotTheRuntime(Host host) throws Exception {
        PluginJar.tokenizer(
                        "curious",
                        "test",
                        "Look.seen(\"io.mor.runtime.MorException\") + Look.seen(\"com.google.inject.Guice\") + Look.seen(\"io.mor.api.data.Tokenizer\")")
                .source("curious.Look", """
            package curious;
            final class Look {
              static String seen(String type) {
                try {
                  Class.forName(type);
                  return "y";
                } catch (ClassNotFoundException e) {
                  return "n";
                }
              }
            }
            """)
                .build(plugins.resolve("curious.jar"));

        try (AutoCloseable catalog = host.discover(List.of(plugins))) {
            assertEquals("nny", host.fingerprint(host.tokenizer(catalog, "test", Map.of())));
        }
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void twoPluginsWithOneIdAreNamedBoth(Host host) throws Exception {
        Path a = PluginJar.tokenizer("a", "test", "\"a\"").build(plugins.resolve("a.jar"));
        Path b = PluginJar.tokenizer("b", "test", "\"b\"").build(plugins.resolve("b.jar"));

        assertEquals(
                "two plugins bring a tokenizer 'test': a (" + a + ") and b (" + b
                        + "); remove one of them or rename its extension",
                failure(host));
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aJarThatIsNoPluginIsNamed(Host host) throws Exception {
        Path jar = new PluginJar()
                .source("lib.Nothing", "package lib; public final class Nothing {}")
                .build(plugins.resolve("lib.jar"));

        assertTrue(
                failure(host).startsWith(jar + " is no plugin: nothing in it provides io.mor.api.plugin.MorPlugin"),
                failure(host));
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aFileThatIsNoJarIsNamed(Host host) throws Exception {
        Path jar = Files.writeString(plugins.resolve("text.jar"), "no zip at all");

        assertTrue(failure(host).contains(jar.toString()), failure(host));
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aTypeThatTheApiLacksIsNamedWithTheJar(Host host) throws Exception {
        Path future = new PluginJar()
                .source(
                        "io.mor.api.data.Futuristic",
                        "package io.mor.api.data; public interface Futuristic extends Tokenizer {}")
                .build(temporary.resolve("stub").resolve("future.jar"));
        Path jar = PluginJar.tokenizer("late", "test", "\"late\"")
                .without("module-info.java")
                .with(future)
                .replace("late.Text", "implements io.mor.api.data.Tokenizer", "implements io.mor.api.data.Futuristic")
                .build(plugins.resolve("late.jar"));

        String message = failure(host);
        assertTrue(message.contains(jar.toString()), message);
        assertTrue(
                message.contains("it uses io.mor.api.data.Futuristic, which this version of mor-api does not have"),
                message);
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aPluginConstructorThatThrowsIsNamedWithTheJar(Host host) throws Exception {
        Path jar = PluginJar.tokenizer("angry", "test", "\"\"")
                .replace(
                        "angry.Plugin",
                        "@Override public java.util",
                        "public Plugin() { throw new IllegalStateException(\"no mood\"); } @Override public java.util")
                .build(plugins.resolve("angry.jar"));

        assertEquals("plugin in " + jar + " cannot be loaded: IllegalStateException: no mood", failure(host));
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void anExtensionConstructorThatThrowsIsNamedWithJarAndId(Host host) throws Exception {
        Path jar = PluginJar.tokenizer("angry", "test", "\"\"")
                .replace(
                        "angry.Text",
                        "this.config = config;",
                        "this.config = null; throw new IllegalStateException(\"no mood\");")
                .build(plugins.resolve("angry.jar"));

        assertEquals(
                "cannot make tokenizer 'test' of angry (" + jar
                        + "): its constructor threw IllegalStateException: no mood",
                failure(host));
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aPackageThatIsNotExportedIsAMessageForTheAuthor(Host host) throws Exception {
        PluginJar.tokenizer("closed", "test", "\"open\"")
                .replace("module-info", "exports closed;", "")
                .build(plugins.resolve("closed.jar"));

        if (host.toString().equals("module path")) {
            assertTrue(failure(host).contains("in a package that its module exports"), failure(host));
        } else {
            try (AutoCloseable catalog = host.discover(List.of(plugins))) {
                assertEquals("open", host.fingerprint(host.tokenizer(catalog, "test", Map.of())));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aLibraryThatIsMissingIsNamedWithJarAndId(Host host) throws Exception {
        Path library = new PluginJar()
                .source(
                        "lib.Version",
                        "package lib; public final class Version { public static final Object IT = new Object(); }")
                .build(temporary.resolve("elsewhere").resolve("lib.jar"));
        Path jar = PluginJar.tokenizer("poor", "test", "\"\"")
                .without("module-info.java")
                .with(library)
                .replace("poor.Text", "this.config = config;", "this.config = config; lib.Version.IT.hashCode();")
                .build(plugins.resolve("poor.jar"));

        String message = failure(host);
        assertTrue(message.contains("cannot make tokenizer 'test' of poor (" + jar + ")"), message);
        assertTrue(message.contains("it uses lib.Version, which is not there"), message);
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aMissingFolderIsNamed(Host host) {
        Path missing = temporary.resolve("missing");
        assertTrue(assertThrows(Exception.class, () -> host.discover(List.of(missing)))
                .getMessage()
                .contains("plugin folder " + missing + " is not a folder"));
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void closedCatalogsLeaveNoClassLoaderBehind(Host host) throws Exception {
        PluginJar.tokenizer("one", "test", "\"one\"").build(plugins.resolve("one.jar"));
        List<WeakReference<ClassLoader>> loaders = new ArrayList<>();
        for (int experiment = 0; experiment < 100; experiment++) {
            try (AutoCloseable catalog = host.discover(List.of(plugins))) {
                Object tokenizer = host.tokenizer(catalog, "test", Map.of("size", 1 + experiment));
                loaders.add(new WeakReference<>(tokenizer.getClass().getClassLoader()));
            }
        }
        for (int attempt = 0; attempt < 50 && loaders.stream().anyMatch(loader -> !loader.refersTo(null)); attempt++) {
            System.gc();
            Thread.sleep(20);
        }
        assertEquals(
                0,
                loaders.stream().filter(loader -> !loader.refersTo(null)).count(),
                "class loaders of 100 closed catalogs are still reachable");
    }
}
