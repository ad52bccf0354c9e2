package io.mor.testkit;

import io.mor.api.plugin.Extension;
import io.mor.runtime.plugin.PluginCatalog;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.module.ModuleDescriptor;
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

/** What a page in Markdown says of a module: its purpose from its Javadoc, then its descriptor and the extensions that it brings. */
public final class ModulePage {

    private ModulePage() {}

    /**
     * The section of one module.
     *
     * @param sources its folder {@code src/main/java}, with its {@code module-info.java}; a {@code pom.xml} is three folders above
     */
    public static String section(ModuleDescriptor descriptor, Path sources) {
        StringBuilder text = new StringBuilder(
                "## " + descriptor.name() + "\n\n`" + artifact(sources) + "`. " + purpose(sources) + "\n\n");
        line(
                text,
                "requires",
                descriptor.requires(),
                requires -> requires.name().equals("java.base") ? "" : code(requires.name()));
        line(text, "exports", descriptor.exports(), exports -> code(exports.source()) + to(exports.targets()));
        line(text, "opens", descriptor.opens(), opens -> code(opens.source()) + to(opens.targets()));
        line(text, "uses", descriptor.uses(), ModulePage::code);
        line(
                text,
                "provides",
                descriptor.provides(),
                provides -> code(provides.service()) + " with "
                        + provides.providers().stream().map(ModulePage::code).collect(Collectors.joining(", ")));
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
                : " to " + new TreeSet<>(targets).stream().map(ModulePage::code).collect(Collectors.joining(", "));
    }

    /** The artifact of a module, from its {@code pom.xml}. */
    public static String artifact(Path sources) {
        Path pom = sources.getParent().getParent().getParent().resolve("pom.xml");
        Matcher artifact = Pattern.compile("<artifactId>([^<]+)</artifactId>")
                .matcher(read(pom).replaceAll("(?s)<parent>.*?</parent>", ""));
        require(artifact.find(), pom + " names no artifact");
        return artifact.group(1);
    }

    /** The descriptor's Javadoc as Markdown. */
    private static String purpose(Path sources) {
        Matcher comment = Pattern.compile("(?s)/\\*\\*(.*?)\\*/").matcher(read(sources.resolve("module-info.java")));
        require(comment.find(), sources + "/module-info.java has no Javadoc");
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

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
