package io.mor.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Host applications as processes of their own: what they print is theirs, stderr is empty but for the JVM's line, and nothing is left behind. */
class EmbeddingIT {

    /** The JVM says this wherever a module that is not final yet is used; no flag silences it. */
    static final String JVM_LINE = "WARNING: Using incubator modules: jdk.incubator.vector\n";

    private static final List<String> OF_A_HOST = Stream.of(1, 2)
            .flatMap(round -> Stream.of(
                    "round " + round + ": trained 6 steps",
                    "round " + round + ": generated 12 tokens, streamed the same",
                    "round " + round + ": 8 callers got 96 tokens",
                    "round " + round + ": a wrong folder is an exception, not an exit"))
            .toList();

    @TempDir
    private Path folder;

    private static void assertClean(List<String> expected, Programs.Result result) {
        assertEquals(0, result.code(), result::toString);
        assertEquals(expected, result.lines(), result::toString);
        assertEquals(JVM_LINE, result.err(), result::toString);
    }

    private static Path lib(String project) {
        return ExampleProjects.folder(project).resolve("target/lib");
    }

    private static String jars(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(Path::toString).sorted().collect(Collectors.joining(File.pathSeparator));
        }
    }

    /** The host's classes, compiled against mor on the class path or, as a module, on the module path. */
    private Path compileHost(String kindOfPath, String path) throws IOException {
        Path classes = folder.resolve("classes");
        Path sources = Programs.root().resolve("examples/src/test/host");
        List<String> arguments = new ArrayList<>(List.of("-Werror", "-d", classes.toString(), kindOfPath, path));
        arguments.add(sources.resolve("host/Host.java").toString());
        if (kindOfPath.equals("--module-path")) {
            arguments.add(sources.resolve("module-info.java").toString());
        }
        int code = ToolProvider.getSystemJavaCompiler().run(null, null, null, arguments.toArray(String[]::new));
        assertEquals(0, code, "the host does not compile with " + kindOfPath);
        return classes;
    }

    private Programs.Result host(String... options) throws IOException {
        List<String> arguments = new ArrayList<>(List.of(options));
        arguments.add(Files.createDirectories(folder.resolve("work")).toString());
        return Programs.java(folder, arguments.toArray(String[]::new));
    }

    private static List<String> andThen(String module) {
        List<String> lines = new ArrayList<>(OF_A_HOST);
        lines.add("mor is in a " + module + " module");
        lines.add("nothing is left behind");
        return lines;
    }

    @Test
    void aHostOnTheClassPath() throws IOException {
        String path = jars(lib("embedding-class-path"));
        Path classes = compileHost("--class-path", path);
        Programs.Result result = host(
                "--add-modules",
                "jdk.incubator.vector",
                "--class-path",
                classes + File.pathSeparator + path,
                "host.Host");
        assertClean(andThen("nameless"), result);
    }

    @Test
    void aHostOnTheModulePath() throws IOException {
        String path = lib("embedding-module-path").toString();
        Path classes = compileHost("--module-path", path);
        Programs.Result result =
                host("--module-path", classes + File.pathSeparator + path, "--module", "host/host.Host");
        assertClean(andThen("named"), result);
    }

    @Test
    void aHostInAShadedJar() throws IOException {
        String path = ExampleProjects.folder("embedding-class-path")
                .resolve("target/embedding-class-path-1.0.0-all.jar")
                .toString();
        Path classes = compileHost("--class-path", path);
        Programs.Result result = host(
                "--add-modules",
                "jdk.incubator.vector",
                "--class-path",
                classes + File.pathSeparator + path,
                "host.Host");
        assertClean(andThen("nameless"), result);
    }
}
