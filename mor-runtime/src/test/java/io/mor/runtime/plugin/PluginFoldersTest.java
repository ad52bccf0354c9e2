package io.mor.runtime.plugin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.plugin.TestHosts.Host;
import io.mor.runtime.plugin.TestHosts.HostFailure;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Plugins from folders, each test in a process with everything on the class path and in one where all are named modules. */
class PluginFoldersTest {

    @TempDir
    static Path hostFolder;

    private static List<Host> hosts = List.of();

    @TempDir
    Path temporary;

    private Path plugins;

    @BeforeAll
    static void startHosts() throws IOException {
        hosts = TestHosts.start(hostFolder);
    }

    /** That they end by themselves and said nothing on standard error is part of the test. */
    @AfterAll
    static void endHosts() throws Exception {
        for (Host host : hosts) {
            host.end();
        }
    }

    static List<Host> hosts() {
        return hosts;
    }

    @BeforeEach
    void makeFolder() throws IOException {
        plugins = Files.createDirectory(temporary.resolve("plugins"));
    }

    private String failure(Host host) {
        return failure(host, "test");
    }

    private String failure(Host host, String id) {
        return assertThrows(HostFailure.class, () -> host.fingerprint(plugins, id))
                .getMessage();
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void theHostIsWhatItIsCalled(Host host) throws Exception {
        assertEquals(host.toString(), host.where());
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aJarIsAPlugin(Host host) throws Exception {
        Path jar =
                PluginJar.tokenizer("one", "test", "\"size \" + config.size()").build(plugins.resolve("one.jar"));
        Files.writeString(plugins.resolve("notes.txt"), "not a plugin");

        List<String> extensions = host.extensions(plugins);
        assertTrue(extensions.contains("tokenizer 'test' of one (" + jar + ")"), extensions::toString);
        assertEquals("size 3", host.fingerprint(plugins, "test"));
        assertEquals("size 5", host.fingerprint(plugins, "test", "size=5"));
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void twoPluginsMayBringDifferentVersionsOfALibrary(Host host) throws Exception {
        for (String version : List.of("1", "2")) {
            buildWithLibrary("user" + version, version);
        }

        assertEquals("1", host.fingerprint(plugins, "user-1"));
        assertEquals("2", host.fingerprint(plugins, "user-2"));
    }

    /** The same module, packages and classes twice, with ids of their own. */
    @ParameterizedTest
    @MethodSource("hosts")
    void twoVersionsOfOnePluginStandSideBySide(Host host) throws Exception {
        for (String version : List.of("1", "2")) {
            buildWithLibrary("user", version);
        }

        List<String> extensions = host.extensions(plugins);
        for (String version : List.of("1", "2")) {
            Path jar = plugins.resolve("v" + version).resolve("user.jar");
            assertTrue(
                    extensions.contains("tokenizer 'user-" + version + "' of user (" + jar + ")"),
                    extensions::toString);
            assertEquals(version, host.fingerprint(plugins, "user-" + version));
        }
    }

    /** A plugin in a folder with its library, whose fingerprint is the library's version. */
    private void buildWithLibrary(String pkg, String version) throws IOException {
        Path folder = plugins.resolve("v" + version);
        Path library = new PluginJar()
                .source(
                        "lib.Version",
                        "package lib; public final class Version { public static String text() { return \"" + version
                                + "\"; } }")
                .module("module lib { exports lib; }")
                .build(folder.resolve("lib.jar"));
        PluginJar.tokenizer(pkg, "user-" + version, "lib.Version.text()")
                .with(library)
                .replace("module-info", "requires io.mor.api;", "requires io.mor.api; requires lib;")
                .build(folder.resolve("user.jar"));
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aPluginWithoutADescriptorWorksToo(Host host) throws Exception {
        PluginJar.tokenizer("plain", "test", "\"plain\"")
                .without("module-info.java")
                .build(plugins.resolve("plain.jar"));

        assertEquals("plain", host.fingerprint(plugins, "test"));
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
                              // By name a class of the host may be found; what counts is whether it can be linked to.
                              return Look.class.getModule().canRead(Class.forName(type).getModule()) ? "y" : "n";
                            } catch (ClassNotFoundException e) {
                              return "n";
                            }
                          }
                        }
                        """)
                .build(plugins.resolve("curious.jar"));

        assertEquals("nny", host.fingerprint(plugins, "test"));
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aHostThatMayCallNativeCodePassesThatOnToThePluginsOfItsFolders(Host host) throws Exception {
        PluginJar.tokenizer(
                        "nativ",
                        "test",
                        "Text.class.getModule().getName() + \" \" + Text.class.getModule().isNativeAccessEnabled()")
                .build(plugins.resolve("nativ.jar"));

        // On a class path it is the launcher's flag for all unnamed modules that decides, and this host has none.
        assertEquals(
                host.toString().equals("module path") ? "nativ true" : "null false", host.fingerprint(plugins, "test"));
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
    void anIdOfTheHostsOwnIsNamedWithBothPlaces(Host host) throws Exception {
        Path jar = PluginJar.tokenizer("a", "byte", "\"a\"").build(plugins.resolve("a.jar"));

        String message = failure(host, "byte");
        assertTrue(message.startsWith("two plugins bring a tokenizer 'byte': io.mor.runtime"), message);
        assertTrue(message.contains(" and a (" + jar + "); remove one of them"), message);
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void anUnknownIdListsWhatWasFoundAndWhere(Host host) throws Exception {
        PluginJar.tokenizer("one", "test", "\"one\"").build(plugins.resolve("one.jar"));

        String message = failure(host, "tset");
        assertTrue(message.startsWith("no tokenizer 'tset'; did you mean 'test'?; there are byte, "), message);
        assertTrue(message.contains(", test; looked in the " + host + ", plugin folder " + plugins), message);
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
    void aJarThatNamesAClassItDoesNotHaveIsNamed(Host host) throws Exception {
        Path jar = PluginJar.tokenizer("lost", "test", "\"\"")
                .without("module-info.java")
                .provides("lost.Elsewhere")
                .build(plugins.resolve("lost.jar"));

        String message = failure(host);
        assertTrue(message.contains(jar.toString()) && message.contains("lost.Elsewhere"), message);
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
        Path jar = late(true).without("module-info.java").build(plugins.resolve("late.jar"));

        String message = failure(host);
        assertTrue(message.contains(jar.toString()), message);
        assertTrue(
                message.contains("it uses io.mor.api.data.Futuristic, which this version of mor-api does not have"),
                message);
    }

    /** A plugin that needs a type of a later API: as what it implements, or only in its constructor. */
    private PluginJar late(boolean asInterface) throws IOException {
        Path future = new PluginJar()
                .source(
                        "io.mor.api.data.Futuristic",
                        "package io.mor.api.data; public interface Futuristic extends Tokenizer { static int level() { return 3; } }")
                .build(temporary.resolve("stub").resolve("future.jar"));
        PluginJar plugin = PluginJar.tokenizer("late", "test", "\"late\"").with(future);
        return asInterface
                ? plugin.replace(
                        "late.Text", "implements io.mor.api.data.Tokenizer", "implements io.mor.api.data.Futuristic")
                : plugin.replace(
                        "late.Text",
                        "this.config = config;",
                        "this.config = config; io.mor.api.data.Futuristic.level();");
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aTypeThatTheApiLacksWhereItIsUsedIsNamedWithJarAndId(Host host) throws Exception {
        Path jar = late(false).without("module-info.java").build(plugins.resolve("late.jar"));

        String message = failure(host);
        assertTrue(
                message.startsWith("cannot make tokenizer 'test' of late (" + jar
                        + "): it uses io.mor.api.data.Futuristic, which"),
                message);
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aMethodThatTheApiLacksIsNamedWithJarAndId(Host host) throws Exception {
        Path future = new PluginJar()
                .source(
                        "io.mor.api.plugin.NoConfig",
                        "package io.mor.api.plugin; public record NoConfig() { public static int level() { return 3; } }")
                .build(temporary.resolve("stub").resolve("future.jar"));
        Path jar = PluginJar.tokenizer("late", "test", "\"late\"")
                .without("module-info.java")
                .with(future)
                .replace("late.Text", "this.config = config;", "this.config = config; NoConfig.level();")
                .build(plugins.resolve("late.jar"));

        String message = failure(host);
        assertTrue(
                message.startsWith(
                        "cannot make tokenizer 'test' of late (" + jar + "): it was built for another version:"),
                message);
        assertTrue(message.contains("NoConfig.level()"), message);
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
    void anOptionOutOfItsRangeIsNamedWithTheRange(Host host) throws Exception {
        PluginJar.tokenizer("one", "test", "\"one\"").build(plugins.resolve("one.jar"));

        String message = assertThrows(HostFailure.class, () -> host.fingerprint(plugins, "test", "size=0"))
                .getMessage();
        assertTrue(message.contains("tokenizer 'test'.size is 0; it must be at least 1"), message);
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
            assertEquals("open", host.fingerprint(plugins, "test"));
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
    void aModuleThatIsMissingIsNamedWithTheJar(Host host) throws Exception {
        Path library = new PluginJar()
                .source(
                        "lib.Version",
                        "package lib; public final class Version { public static String text() { return \"1\"; } }")
                .module("module lib { exports lib; }")
                .build(temporary.resolve("elsewhere").resolve("lib.jar"));
        Path jar = PluginJar.tokenizer("poor", "test", "\"\"")
                .with(library)
                .replace("poor.Text", "this.config = config;", "this.config = config; lib.Version.text();")
                .replace("module-info", "requires io.mor.api;", "requires io.mor.api; requires lib;")
                .build(plugins.resolve("poor.jar"));

        String message = failure(host);
        assertTrue(message.contains(jar.toString()) && message.contains("lib"), message);
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void aMissingFolderIsNamed(Host host) {
        Path missing = temporary.resolve("missing");
        assertEquals(
                "plugin folder " + missing + " is not a folder",
                assertThrows(HostFailure.class, () -> host.extensions(missing)).getMessage());
    }

    @ParameterizedTest
    @MethodSource("hosts")
    void closedCatalogsLeaveNoClassLoaderBehind(Host host) throws Exception {
        PluginJar.tokenizer("one", "test", "\"one\"").build(plugins.resolve("one.jar"));

        assertEquals(0, host.loadersLeft(plugins, "test"), "class loaders of 100 closed catalogs are still reachable");
    }
}
