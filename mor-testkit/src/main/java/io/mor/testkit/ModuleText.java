package io.mor.testkit;

import java.lang.module.ModuleDescriptor;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;

/** A module descriptor as text that is committed, so that a change of what a module exports is always deliberate. */
public final class ModuleText {

    private ModuleText() {}

    /** As {@code jar --describe-module} says it, in a stable order and without the version. */
    public static String of(ModuleDescriptor descriptor) {
        List<String> lines = new ArrayList<>();
        lines.add("module " + descriptor.name());
        sorted(descriptor.exports(), exports -> "exports " + exports.source() + to(exports.targets()), lines);
        sorted(
                descriptor.requires(),
                requires -> "requires "
                        + requires.modifiers().stream()
                                .filter(modifier -> modifier != ModuleDescriptor.Requires.Modifier.MANDATED)
                                .map(modifier -> modifier.name().toLowerCase(Locale.ROOT) + " ")
                                .sorted()
                                .collect(Collectors.joining())
                        + requires.name(),
                lines);
        sorted(descriptor.opens(), opens -> "opens " + opens.source() + to(opens.targets()), lines);
        sorted(descriptor.uses(), service -> "uses " + service, lines);
        sorted(
                descriptor.provides(),
                provides -> "provides " + provides.service() + " with " + String.join(", ", provides.providers()),
                lines);
        return String.join("\n", lines) + "\n";
    }

    private static String to(Set<String> targets) {
        return targets.isEmpty() ? "" : " to " + String.join(", ", new TreeSet<>(targets));
    }

    private static <T> void sorted(Collection<T> parts, Function<T, String> text, List<String> lines) {
        parts.stream().map(text).sorted().forEach(lines::add);
    }
}
