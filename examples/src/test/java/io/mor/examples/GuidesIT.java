package io.mor.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every code block of the guides is a part of a file that is compiled, or is run. A comment in front of it says which: {@code source: FILE}, {@code run in:
 * FOLDER} or {@code build: EXAMPLE}.
 */
class GuidesIT {

    private static final Pattern MARKER = Pattern.compile("<!-- (source|run in|build): (.+) -->");

    /** The examples as in a checkout, to run commands in. */
    @TempDir
    private static Path checkout;

    private record Block(String kind, String argument, String language, String text) {}

    private static List<Path> guides() throws IOException {
        try (Stream<Path> inside = Files.list(Programs.root().resolve("docs/guides"))) {
            return inside.sorted().toList();
        }
    }

    private static List<Block> blocks(Path document) throws IOException {
        List<Block> blocks = new ArrayList<>();
        String[] lines = Files.readString(document).split("\n");
        for (int i = 0; i < lines.length; i++) {
            if (lines[i].startsWith("```")) {
                Matcher marker = MARKER.matcher(i == 0 ? "" : lines[i - 1]);
                String language = lines[i].substring(3);
                StringBuilder text = new StringBuilder();
                for (i++; !lines[i].equals("```"); i++) {
                    text.append(lines[i]).append('\n');
                }
                boolean marked = marker.matches();
                blocks.add(new Block(
                        marked ? marker.group(1) : "", marked ? marker.group(2) : "", language, text.toString()));
            }
        }
        return blocks;
    }

    @ParameterizedTest
    @MethodSource("guides")
    void everyBlockIsCompiledOrRun(Path guide) throws IOException {
        List<Block> blocks = blocks(guide);
        assertFalse(blocks.isEmpty(), guide + " has no block");
        for (Block block : blocks) {
            check(guide, block);
        }
    }

    @Test
    void theReadmesJavaIsCompiled() throws IOException {
        Path readme = Programs.root().resolve("README.md");
        List<Block> blocks = blocks(readme).stream()
                .filter(block -> block.language().equals("java"))
                .toList();
        assertEquals(2, blocks.size(), "a router and an embedding");
        for (Block block : blocks) {
            check(readme, block);
        }
    }

    @ParameterizedTest
    @MethodSource("guides")
    void linkedFilesAreThere(Path guide) throws IOException {
        Matcher links = Pattern.compile("\\]\\((?!http)([^)#]+)").matcher(Files.readString(guide));
        while (links.find()) {
            assertTrue(Files.exists(guide.resolveSibling(links.group(1))), guide + " links to " + links.group(1));
        }
    }

    private static void check(Path document, Block block) throws IOException {
        String where = document.getFileName() + ", block\n" + block.text();
        switch (block.kind()) {
            case "source" -> {
                String file = Files.readString(Programs.root().resolve(block.argument()));
                assertTrue(
                        withoutSpace(file).contains(withoutSpace(block.text())),
                        where + "is not in " + block.argument());
            }
            case "build" -> {
                assertEquals("mvn -f examples/" + block.argument() + " verify\n", block.text(), where);
                Path target = ExampleProjects.folder(block.argument()).resolve("target");
                assertTrue(
                        Files.exists(target.resolve(block.argument() + "-1.0.0.jar")),
                        where + "made no jar in " + target);
            }
            case "run in" -> {
                Programs.Result result = Programs.run(
                        folder(block.argument()),
                        Map.of(
                                "MOR_NO_BUILD",
                                "1",
                                "PATH",
                                Path.of(System.getProperty("java.home"), "bin")
                                        + File.pathSeparator
                                        + System.getenv("PATH")),
                        List.of("bash", "-euo", "pipefail", "-c", block.text()));
                assertEquals(0, result.code(), () -> where + result);
                assertFalse(
                        result.out().contains(": false\n"), () -> where + result); // an example's own check of itself
                if (block.text().startsWith("java ")) {
                    assertEquals(EmbeddingIT.JVM_LINE, result.err(), () -> where + result);
                }
            }
            default -> throw new AssertionError(where + "has no comment in front that says what tests it");
        }
    }

    /** A formatter may break lines in other places than a page does. */
    private static String withoutSpace(String text) {
        return text.replaceAll("\\s+", "");
    }

    /** A folder of the checkout, in which the first call puts what commands refer to. */
    private static Path folder(String name) throws IOException {
        for (String linked : List.of("mor", "mor-testkit", "README.md")) {
            if (!Files.exists(checkout.resolve(linked))) {
                Files.createSymbolicLink(
                        checkout.resolve(linked), Programs.root().resolve(linked));
            }
        }
        Path copy = checkout.resolve(name);
        if (!Files.exists(copy)) {
            if (name.contains("/")) {
                copy(ExampleProjects.folder(name.substring(name.indexOf('/') + 1)), copy);
            } else {
                Files.createDirectories(copy);
            }
        }
        return copy;
    }

    private static void copy(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.walk(from)) {
            files.forEach(file -> {
                try {
                    Path target = to.resolve(from.relativize(file));
                    Files.createDirectories(target.getParent());
                    if (!Files.isDirectory(file)) {
                        Files.copy(file, target);
                    }
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        }
    }
}
