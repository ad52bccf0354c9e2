package io.mor.architecture;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.testkit.GoldenText;
import io.mor.testkit.ModuleText;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleReference;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/**
 * The descriptors of the packaged modules. Their text is committed, so that a change of what a module exports is always deliberate; the
 * failure's message says what writes it anew.
 */
class ModuleDescriptorsIT {

    static final String UPDATE =
            "mvn -o -q -pl mor-cli -am verify -Dtest='ModuleDescriptorsIT,ModulesPageIT' -Dsurefire.failIfNoSpecifiedTests=false -Dmor.update.golden=true";

    private static final int FEWEST_MODULES = 11;
    private static final Path GOLDEN =
            Distribution.projectRoot().resolve("mor-cli/src/test/resources/io/mor/architecture/modules");

    @Test
    void allModulesWerePacked() {
        List<String> names = Distribution.modules().stream()
                .map(module -> module.descriptor().name())
                .toList();
        System.out.println(names);
        assertTrue(names.size() >= FEWEST_MODULES, names::toString);
        assertEquals(Distribution.jars().size(), names.size(), "each of our jars is a module");
    }

    @Test
    void descriptorsAreAsCommitted() throws IOException {
        List<Executable> checks = new ArrayList<>();
        Set<String> names = new TreeSet<>();
        for (ModuleReference module : Distribution.describedModules()) {
            String name = module.descriptor().name();
            names.add(name + ".txt");
            checks.add(() ->
                    new GoldenText(GOLDEN.resolve(name + ".txt"), UPDATE).check(ModuleText.of(module.descriptor())));
        }
        assertAll(checks);
        try (Stream<Path> files = Files.list(GOLDEN)) {
            Set<String> committed =
                    files.map(file -> file.getFileName().toString()).collect(Collectors.toCollection(TreeSet::new));
            assertEquals(
                    names,
                    committed,
                    () -> "modules and committed descriptors; remove from " + GOLDEN + " what is gone");
        }
    }

    @Test
    void packagesBeginWithTheNameOfTheirModule() {
        assertAll(Distribution.modules().stream().map(module -> () -> {
            String name = module.descriptor().name();
            List<String> strangers = module.descriptor().packages().stream()
                    .filter(pack -> !pack.equals(name) && !pack.startsWith(name + "."))
                    .sorted()
                    .toList();
            assertEquals(List.of(), strangers, () -> "packages of " + name);
        }));
    }

    @Test
    void nothingIsOpenedToEverybody() {
        assertAll(Distribution.describedModules().stream().map(module -> () -> {
            ModuleDescriptor descriptor = module.descriptor();
            assertTrue(!descriptor.isOpen(), () -> descriptor.name() + " is an open module");
            List<String> open = descriptor.opens().stream()
                    .filter(opens -> !opens.isQualified())
                    .map(ModuleDescriptor.Opens::source)
                    .toList();
            assertEquals(List.of(), open, () -> "packages that " + descriptor.name() + " opens to everybody");
        }));
    }

    @Test
    void pluginsNameNeitherGuiceNorJacksonAndOpenNothing() {
        List<ModuleDescriptor> plugins = Distribution.modules().stream()
                .map(ModuleReference::descriptor)
                .filter(descriptor -> Distribution.plugins().contains(descriptor.name()))
                .toList();
        assertTrue(plugins.size() >= 9, () -> plugins.size() + " plugins");
        assertAll(plugins.stream().map(plugin -> () -> {
            Set<String> requires = plugin.requires().stream()
                    .map(ModuleDescriptor.Requires::name)
                    .collect(Collectors.toCollection(TreeSet::new));
            assertTrue(requires.contains("io.mor.api"), () -> plugin.name() + " requires " + requires);
            assertTrue(
                    requires.stream()
                            .noneMatch(name -> name.startsWith("com.google.inject")
                                    || name.startsWith("com.google.guice")
                                    || name.startsWith("tools.jackson")
                                    || name.startsWith("io.mor.") && !name.equals("io.mor.api")),
                    () -> plugin.name() + " requires " + requires);
            assertEquals(Set.of(), plugin.opens(), () -> "what " + plugin.name() + " opens");
        }));
    }

    @Test
    void servicesOfTheClassPathAreThoseOfTheDescriptor() throws IOException {
        for (Path jar : Distribution.jars()) {
            try (JarFile file = new JarFile(jar.toFile())) {
                Map<String, List<String>> declared = new TreeMap<>();
                for (Enumeration<JarEntry> entries = file.entries(); entries.hasMoreElements(); ) {
                    JarEntry entry = entries.nextElement();
                    String prefix = "META-INF/services/";
                    if (entry.getName().startsWith(prefix) && !entry.isDirectory()) {
                        String text = new String(file.getInputStream(entry).readAllBytes(), StandardCharsets.UTF_8);
                        declared.put(
                                entry.getName().substring(prefix.length()),
                                text.lines()
                                        .map(String::strip)
                                        .filter(line -> !line.isEmpty() && !line.startsWith("#"))
                                        .sorted()
                                        .toList());
                    }
                }
                ModuleDescriptor descriptor = Distribution.modules().stream()
                        .filter(module -> module.location().orElseThrow().equals(jar.toUri()))
                        .findFirst()
                        .orElseThrow()
                        .descriptor();
                Map<String, List<String>> provided = new TreeMap<>();
                descriptor
                        .provides()
                        .forEach(provides -> provided.put(
                                provides.service(),
                                provides.providers().stream().sorted().toList()));
                assertEquals(
                        provided,
                        declared,
                        () -> "META-INF/services of " + jar.getFileName() + " against its module descriptor");
            }
        }
    }

    @Test
    void modulesKnowTheirVersion() {
        Set<String> versions = Distribution.modules().stream()
                .map(module -> module.descriptor().rawVersion().orElse("none"))
                .collect(Collectors.toSet());
        assertEquals(1, versions.size(), versions::toString);
        assertTrue(versions.iterator().next().matches("\\d+\\.\\d+\\.\\d+(-SNAPSHOT)?"), versions::toString);
    }

    @Test
    void everyModuleAndPackageIsDescribed() throws IOException {
        List<String> bare = new ArrayList<>();
        int files = 0;
        for (Path sources : Distribution.sourceFolders()) {
            Path descriptor = sources.resolve("module-info.java");
            files++;
            if (!Files.exists(descriptor)
                    || !Files.readString(descriptor).matches("(?s).*/\\*\\*.*?\\*/\\s*(@\\S+\\s+)*(open )?module .*")) {
                bare.add(descriptor.toString());
            }
            try (Stream<Path> folders = Files.walk(sources)) {
                for (Path folder :
                        folders.filter(ModuleDescriptorsIT::holdsClasses).toList()) {
                    Path described = folder.resolve("package-info.java");
                    files++;
                    if (!Files.exists(described)
                            || !Files.readString(described).matches("(?s).*/\\*\\*.*?\\*/\\s*package .*")) {
                        bare.add(described.toString());
                    }
                }
            }
        }
        System.out.println(files + " descriptors and packages");
        assertTrue(files > 30, "sources found");
        assertEquals(List.of(), bare, "without Javadoc");
    }

    private static boolean holdsClasses(Path folder) {
        if (!Files.isDirectory(folder)) {
            return false;
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.anyMatch(file -> file.toString().endsWith(".java") && !file.endsWith("module-info.java"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
