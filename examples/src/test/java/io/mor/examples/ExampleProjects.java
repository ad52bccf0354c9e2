package io.mor.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The example projects, built once by a Maven that knows nothing of this project but what would be published: its own local repository, to which the
 * outer build has given the artifacts, and the outer build's downloads as a remote one.
 */
final class ExampleProjects {

    private ExampleProjects() {}

    /** Built when it is first asked for. */
    private static final class Built {
        private static final Path FOLDER = build();
    }

    static Path folder(String name) {
        return Built.FOLDER.resolve(name);
    }

    private static Path build() {
        Path examples = Programs.root().resolve("examples");
        Path target = examples.resolve("target");
        try (InputStream template = ExampleProjects.class.getResourceAsStream("/settings.xml")) {
            Path downloads = Path.of(property("mor.maven.repository"));
            Path settings = Files.writeString(
                    target.resolve("settings.xml"),
                    new String(template.readAllBytes())
                            .replace("@localRepositoryUrl@", downloads.toUri().toString()));
            List<String> command = new ArrayList<>(List.of(
                    Path.of(property("mor.maven.home"), "bin", "mvn").toString(),
                    "-B",
                    "-T2",
                    "-f",
                    examples.resolve("all").toString(),
                    "-gs",
                    settings.toString(),
                    "-Dmaven.repo.local=" + target.resolve("repository"),
                    "clean",
                    "verify"));
            if (property("mor.maven.network").equals("offline=true")) {
                command.add("-o");
            }
            Programs.Result result = Programs.run(
                    examples,
                    Map.of(
                            "JAVA_HOME",
                            System.getProperty("java.home"),
                            "MAVEN_OPTS",
                            "-Daether.offline.protocols=file -XX:+UseSerialGC -XX:TieredStopAtLevel=1"),
                    command);
            Files.writeString(target.resolve("examples-build.log"), result.toString());
            assertEquals(0, result.code(), result::toString);
            return examples;
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static String property(String name) {
        String value = System.getProperty(name);
        if (value == null) {
            throw new AssertionError("system property " + name + " is missing; run this test with Maven");
        }
        return value;
    }
}
