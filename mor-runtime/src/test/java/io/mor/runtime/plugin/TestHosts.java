package io.mor.runtime.plugin;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.module.ModuleFinder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import javax.tools.ToolProvider;

/** Processes with the runtime on their class path, and with the runtime and themselves as named modules, behind one interface. */
final class TestHosts {

    private static final String MAIN = "io.mor.host.HostProgram";
    private static final int LONGEST_SECONDS = 60;

    private TestHosts() {}

    /** What a host said about a request that failed. */
    static final class HostFailure extends Exception {
        private static final long serialVersionUID = 1;

        HostFailure(String type, String message) {
            super(message);
            if (!type.startsWith("io.mor.runtime.")) {
                throw new AssertionError(type + " is no failure of the runtime's: " + message);
            }
        }
    }

    private static List<Path> classPath() {
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .map(Path::of)
                .toList();
    }

    /** What a plugin author compiles with. */
    static List<String> apiPath() {
        List<String> path = classPath().stream()
                .filter(entry -> holds(entry, "io.mor.api") || holds(entry, "jakarta.inject"))
                .map(Path::toString)
                .toList();
        if (path.size() != 2) {
            throw new IllegalStateException("mor-api and jakarta.inject should be on the class path: " + path);
        }
        return path;
    }

    private static boolean holds(Path entry, String module) {
        return isModule(entry) && ModuleFinder.of(entry).find(module).isPresent();
    }

    private static boolean isModule(Path entry) {
        return entry.toString().endsWith(".jar")
                ? Files.exists(entry)
                : Files.exists(entry.resolve("module-info.class"));
    }

    /** Both kinds of host, started; to be ended. */
    static List<Host> start(Path folder) throws IOException {
        return List.of(onClassPath(folder), onModulePath(folder));
    }

    private static Host onClassPath(Path folder) throws IOException {
        return new Host("class path", folder, List.of("--class-path", System.getProperty("java.class.path"), MAIN));
    }

    private static Host onModulePath(Path folder) throws IOException {
        List<String> path = new ArrayList<>(classPath().stream()
                .filter(TestHosts::isModule)
                .map(Path::toString)
                .filter(entry ->
                        !entry.matches(".*[/\\\\](junit|opentest4j|apiguardian|surefire|jspecify)[^/\\\\]*\\.jar"))
                .toList());
        Path host = folder.resolve("host");
        Path descriptor = Files.writeString(
                Files.createDirectories(folder.resolve("host-source")).resolve("module-info.java"),
                "module io.mor.host { requires io.mor.runtime; exports io.mor.host; }");
        Path root = Path.of(System.getProperty("mor.project.root", ".."));
        Path program = root.resolve("mor-runtime/src/test/java/io/mor/host/HostProgram.java");
        int compiled = ToolProvider.getSystemJavaCompiler()
                .run(
                        null,
                        null,
                        null,
                        "-d",
                        host.toString(),
                        "--module-path",
                        String.join(File.pathSeparator, path),
                        "-proc:none",
                        "-nowarn",
                        descriptor.toString(),
                        program.toString());
        if (compiled != 0) {
            throw new IllegalStateException("the host does not compile as a module");
        }
        path.add(host.toString());
        return new Host(
                "module path",
                folder,
                List.of(
                        "--module-path",
                        String.join(File.pathSeparator, path),
                        "--enable-native-access=io.mor.runtime",
                        "--module",
                        "io.mor.host/" + MAIN));
    }

    /** A host as a process. Not closeable, because JUnit closes the arguments of a test after it. */
    static final class Host {

        private final String name;
        private final Path errors;
        private final Process process;
        private final PrintStream requests;
        private final BufferedReader answers;

        Host(String name, Path folder, List<String> program) throws IOException {
            this.name = name;
            this.errors = Files.createTempFile(folder, "stderr", ".txt");
            List<String> command = new ArrayList<>(List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1"));
            command.addAll(program);
            this.process =
                    new ProcessBuilder(command).redirectError(errors.toFile()).start();
            this.requests = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
            this.answers = process.inputReader(StandardCharsets.UTF_8);
        }

        private List<String> ask(String... request) throws IOException, HostFailure {
            requests.println(String.join("\t", request));
            List<String> lines = new ArrayList<>();
            for (String line = answers.readLine(); !".".equals(line); line = answers.readLine()) {
                if (line == null) {
                    throw new AssertionError(
                            "the host on the " + name + " ended; it said: " + Files.readString(errors));
                }
                lines.add(line);
            }
            if (!lines.isEmpty() && lines.getFirst().startsWith("!")) {
                String[] failure = lines.getFirst().substring(1).split("\t", 2);
                throw new HostFailure(failure[0], failure[1].replace("\\n", "\n"));
            }
            return lines;
        }

        /** Where the program itself says that it is. */
        String where() throws IOException, HostFailure {
            return ask("where", ".").getFirst();
        }

        /** The names and places of all extensions. */
        List<String> extensions(Path folder) throws IOException, HostFailure {
            return ask("extensions", folder.toString());
        }

        /** The fingerprint of a new tokenizer, made with options like {@code size=3}. */
        String fingerprint(Path folder, String id, String... options) throws IOException, HostFailure {
            List<String> request = new ArrayList<>(List.of("fingerprint", folder.toString(), id));
            request.addAll(List.of(options));
            return ask(request.toArray(String[]::new)).getFirst();
        }

        /** How many class loaders are left of a hundred catalogs with a tokenizer each. */
        int loadersLeft(Path folder, String id) throws IOException, HostFailure {
            return Integer.parseInt(ask("loaders", folder.toString(), id).getFirst());
        }

        /** Ends the process, which must go by itself, with exit code 0 and nothing on standard error but the JVM's own line. */
        void end() throws IOException {
            requests.close();
            try {
                if (!process.waitFor(LONGEST_SECONDS, TimeUnit.SECONDS)) {
                    process.destroyForcibly();
                    throw new AssertionError("the host on the " + name + " did not end: a thread is left");
                }
            } catch (InterruptedException e) {
                process.destroyForcibly();
                Thread.currentThread().interrupt();
                throw new IOException("interrupted while the host on the " + name + " was ending", e);
            }
            String said = Files.readString(errors).replaceAll("WARNING: Using incubator modules: [^\n]*\n", "");
            if (process.exitValue() != 0 || !said.isEmpty()) {
                throw new AssertionError(
                        "the host on the " + name + " ended with " + process.exitValue() + " and said: " + said);
            }
        }

        @Override
        public String toString() {
            return name;
        }
    }
}
