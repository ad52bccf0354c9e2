package io.mor.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.plugin.Extension;
import io.mor.runtime.plugin.PluginCatalog;
import io.mor.testkit.GoldenText;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleReference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** docs/modules.md, written from the packaged descriptors, their Javadoc and what the plugins bring. */
class ModulesPageIT {

    private static final Path PAGE = Distribution.projectRoot().resolve("docs/modules.md");

    @Test
    void thePageSaysWhatTheDescriptorsSay() {
        String page = Distribution.describedModules().stream()
                .map(ModulesPageIT::section)
                .collect(Collectors.joining("\n"));
        assertTrue(
                page.contains("router `expert-choice`") && page.contains("backend `cpu`"),
                "extensions of plugins are listed");
        new GoldenText(PAGE, ModuleDescriptorsIT.UPDATE).checkPart("modules", page);
    }

    @Test
    void everyModuleOfTheBuildIsOnThePageOrNamedAsLeftOut() throws IOException {
        String page = Files.readString(PAGE);
        Set<String> missing = new TreeSet<>();
        for (Path sources : Distribution.sourceFolders()) {
            String artifact = artifact(sources);
            if (!page.contains("`" + artifact + "`")) {
                missing.add(artifact);
            }
        }
        assertEquals(Set.of(), missing, "modules that docs/modules.md does not name");
    }

    private static String section(ModuleReference module) {
        ModuleDescriptor descriptor = module.descriptor();
        Path sources = sources(descriptor.name());
        StringBuilder text = new StringBuilder(
                "## " + descriptor.name() + "\n\n`" + artifact(sources) + "`. " + purpose(sources) + "\n\n");
        line(
                text,
                "requires",
                descriptor.requires(),
                requires -> requires.name().equals("java.base") ? "" : code(requires.name()));
        line(text, "exports", descriptor.exports(), exports -> code(exports.source()) + to(exports.targets()));
        line(text, "opens", descriptor.opens(), opens -> code(opens.source()) + to(opens.targets()));
        line(text, "uses", descriptor.uses(), ModulesPageIT::code);
        line(
                text,
                "provides",
                descriptor.provides(),
                provides -> code(provides.service()) + " with "
                        + provides.providers().stream().map(ModulesPageIT::code).collect(Collectors.joining(", ")));
        try (PluginCatalog catalog = PluginCatalog.discover()) {
            List<Extension> brought = catalog.extensions().stream()
                    .filter(found -> found.plugin().getClass().getName().startsWith(descriptor.name() + "."))
                    .map(found -> found.extension())
                    .toList();
            line(
                    text,
                    "brings",
                    brought,
                    extension -> extension.kind().id() + " " + code(extension.id()) + " (" + extension.help() + ")");
        }
        return text.toString();
    }

    private static <T> void line(StringBuilder text, String name, Collection<T> parts, Function<T, String> of) {
        String joined =
                parts.stream().map(of).filter(part -> !part.isEmpty()).sorted().collect(Collectors.joining(", "));
        text.append("- ")
                .append(name)
                .append(": ")
                .append(joined.isEmpty() ? "nothing" : joined)
                .append("\n");
    }

    private static String code(String name) {
        return "`" + name + "`";
    }

    private static String to(Set<String> targets) {
        return targets.isEmpty()
                ? ""
                : " to "
                        + new TreeSet<>(targets)
                                .stream().map(ModulesPageIT::code).collect(Collectors.joining(", "));
    }

    private static Path sources(String module) {
        for (Path sources : Distribution.sourceFolders()) {
            Path descriptor = sources.resolve("module-info.java");
            if (Files.exists(descriptor)
                    && Pattern.compile("(?m)^(open )?module " + Pattern.quote(module) + " ")
                            .matcher(read(descriptor))
                            .find()) {
                return sources;
            }
        }
        throw new AssertionError("no module-info.java of " + module);
    }

    private static String artifact(Path sources) {
        Path pom = sources.getParent().getParent().getParent().resolve("pom.xml");
        Matcher artifact = Pattern.compile("<artifactId>([^<]+)</artifactId>")
                .matcher(read(pom).replaceAll("(?s)<parent>.*?</parent>", ""));
        assertTrue(artifact.find(), pom::toString);
        return artifact.group(1);
    }

    /** The descriptor's Javadoc as Markdown. */
    private static String purpose(Path sources) {
        Matcher comment = Pattern.compile("(?s)/\\*\\*(.*?)\\*/").matcher(read(sources.resolve("module-info.java")));
        assertTrue(comment.find(), () -> sources + " has a described module");
        List<String> lines = new ArrayList<>();
        for (String line : comment.group(1)
                .lines()
                .map(line -> line.strip().replaceFirst("^\\* ?", ""))
                .toList()) {
            if (!line.startsWith("@")) {
                lines.add(line.replaceFirst("^<p>", ""));
            }
        }
        return String.join("\n", lines)
                .strip()
                .replaceAll("\\{@(?:code|link|linkplain)\\s+([^}\\s]+)\\s+([^}]+)}", "`$2`")
                .replaceAll("\\{@(?:code|link)\\s+([^}]+)}", "`$1`")
                .replace("</p>", "");
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
