package io.mor.examples;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Starts programs as a user does, and waits for their end. */
final class Programs {

    private static final long LONGEST_SECONDS = 300;

    private Programs() {}

    /** What a program said and ended with. */
    record Result(int code, String out, String err) {

        @Override
        public String toString() {
            return "exit code " + code + "\n--- stdout\n" + out + "\n--- stderr\n" + err;
        }

        List<String> lines() {
            return out.lines().toList();
        }
    }

    static Path root() {
        return Path.of(System.getProperty("mor.project.root", ".."))
                .toAbsolutePath()
                .normalize();
    }

    static Result run(Path folder, Map<String, String> environment, List<String> command) {
        try {
            Path out = Files.createTempFile("out", ".txt");
            Path err = Files.createTempFile("err", ".txt");
            ProcessBuilder builder = new ProcessBuilder(command)
                    .directory(folder.toFile())
                    .redirectOutput(out.toFile())
                    .redirectError(err.toFile());
            builder.environment().keySet().removeIf(name -> name.startsWith("MAVEN_"));
            builder.environment().putAll(environment);
            Process process = builder.start();
            process.getOutputStream().close();
            if (!process.waitFor(LONGEST_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new AssertionError(
                        command + " has not ended after " + LONGEST_SECONDS + " s: " + Files.readString(err));
            }
            Result result = new Result(process.exitValue(), Files.readString(out), Files.readString(err));
            Files.delete(out);
            Files.delete(err);
            return result;
        } catch (IOException e) {
            throw new AssertionError(command + " cannot be run: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** The mor command, as it was built. */
    static Result mor(Path folder, String... arguments) {
        List<String> command =
                new ArrayList<>(List.of("bash", root().resolve("mor").toString()));
        command.addAll(List.of(arguments));
        return run(folder, Map.of("MOR_NO_BUILD", "1"), command);
    }

    /** The JVM that runs the tests. */
    static Result java(Path folder, String... arguments) {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        command.addAll(List.of(arguments));
        return run(folder, Map.of(), command);
    }
}
