package io.mor.architecture;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReference;
import java.net.MalformedURLException;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** The jars that the build packed. */
final class Distribution {

    private Distribution() {}

    static Path projectRoot() {
        return Path.of(System.getProperty("mor.project.root", ".."))
                .toAbsolutePath()
                .normalize();
    }

    static Path lib() {
        return projectRoot().resolve("mor-cli/target/mor/lib");
    }

    /** Our own jars, by name. */
    static List<Path> jars() {
        try (Stream<Path> files = Files.list(lib())) {
            return files.filter(file -> file.getFileName().toString().matches("mor-.*\\.jar"))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException("no packaged jars; run mvn package", e);
        }
    }

    /** The same for a reader of classes. */
    static List<URL> urls() {
        return jars().stream()
                .map(jar -> {
                    try {
                        return URI.create("jar:" + jar.toUri() + "!/").toURL();
                    } catch (MalformedURLException e) {
                        throw new UncheckedIOException(e);
                    }
                })
                .toList();
    }

    /** Our own modules, by name. */
    static List<ModuleReference> modules() {
        return ModuleFinder.of(jars().toArray(Path[]::new)).findAll().stream()
                .sorted(Comparator.comparing(
                        (ModuleReference module) -> module.descriptor().name()))
                .toList();
    }

    /** The names of the modules that are plugins: they provide one and are not the runtime. */
    static List<String> plugins() {
        return modules().stream()
                .map(ModuleReference::descriptor)
                .filter(descriptor -> descriptor.provides().stream()
                        .anyMatch(provides -> provides.service().equals("io.mor.api.plugin.MorPlugin")))
                .map(ModuleDescriptor::name)
                .filter(name -> !name.equals("io.mor.runtime"))
                .toList();
    }

    /** The modules above and the testkit, which is no part of the distribution. */
    static List<ModuleReference> describedModules() {
        Path target = projectRoot().resolve("mor-testkit/target");
        try (Stream<Path> files = Files.list(target)) {
            List<Path> testkit = files.filter(
                            file -> file.getFileName().toString().matches("mor-testkit-[0-9.]+(-SNAPSHOT)?\\.jar"))
                    .toList();
            return Stream.concat(modules().stream(), ModuleFinder.of(testkit.toArray(Path[]::new)).findAll().stream())
                    .sorted(Comparator.comparing(module -> module.descriptor().name()))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException("no packaged testkit; run mvn package", e);
        }
    }

    /** The folders of all modules in the build that have main sources. */
    static List<Path> sourceFolders() {
        try (Stream<Path> files = Files.find(projectRoot(), 5, (path, attributes) -> path.endsWith("src/main/java"))) {
            return files.filter(path -> !path.toString().contains("target")
                            && !path.startsWith(projectRoot().resolve("examples")))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
