package io.mor.backend.cuda;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * The folders in which a shared library of CUDA may lie, in the order in which they are looked into: what the user named ({@code CUDA_HOME},
 * {@code CUDA_PATH}, {@code LD_LIBRARY_PATH}), toolkits under {@code /usr/local}, the system's folders, and the folders {@code nvidia} of
 * Python environments (the active one, those of {@code PATH}, the user's, the system's), which bring these libraries as wheels.
 *
 * @param folders existing folders, each once
 */
record LibrarySearch(List<Path> folders) {

    /**
     * What a search came to.
     *
     * @param library the first file found, empty if none was
     * @param names the names looked for, best first
     */
    record Result(Optional<Path> library, List<String> names) {}

    LibrarySearch {
        folders = List.copyOf(folders);
    }

    /** The folders of this machine. */
    static LibrarySearch ofThisMachine() {
        return of(name -> Optional.ofNullable(System.getenv(name)).orElse(""), Path.of("/"));
    }

    /**
     * The folders of a machine.
     *
     * @param environment a variable's value, empty if it is not set
     * @param root what stands for {@code /} in the fixed places
     */
    static LibrarySearch of(UnaryOperator<String> environment, Path root) {
        Set<Path> found = new LinkedHashSet<>();
        for (String variable : List.of("CUDA_HOME", "CUDA_PATH")) {
            String home = environment.apply(variable);
            if (!home.isEmpty()) {
                addToolkit(found, Path.of(home));
            }
        }
        for (String folder : environment.apply("LD_LIBRARY_PATH").split(":")) {
            addFolder(found, folder);
        }
        addToolkit(found, root.resolve("usr/local/cuda"));
        children(root.resolve("usr/local"), "cuda-*").forEach(toolkit -> addToolkit(found, toolkit));
        for (String folder : List.of(
                "usr/local/nvidia/lib64",
                "usr/lib/x86_64-linux-gnu",
                "usr/lib64",
                "usr/lib/wsl/lib",
                "lib/x86_64-linux-gnu",
                "usr/lib")) {
            addFolder(found, root.resolve(folder).toString());
        }
        addPython(found, environment, root);
        return new LibrarySearch(List.copyOf(found));
    }

    private static void addPython(Set<Path> found, UnaryOperator<String> environment, Path root) {
        List<Path> environments = new ArrayList<>();
        for (String variable : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
            if (!environment.apply(variable).isEmpty()) {
                environments.add(Path.of(environment.apply(variable)));
            }
        }
        for (String folder : environment.apply("PATH").split(":")) {
            Path bin = Path.of(folder);
            if (bin.isAbsolute() && bin.getParent() != null && bin.endsWith("bin")) {
                environments.add(bin.getParent());
            }
        }
        if (!environment.apply("HOME").isEmpty()) {
            environments.add(Path.of(environment.apply("HOME"), ".local"));
        }
        environments.add(root.resolve("usr/local"));
        environments.add(root.resolve("usr"));
        for (Path python : environments) {
            List<Path> sites = new ArrayList<>();
            for (Path version : children(python.resolve("lib"), "python3*")) {
                sites.add(version.resolve("site-packages"));
                sites.add(version.resolve("dist-packages"));
            }
            for (Path site : sites) {
                // the wheels of CUDA 13 share nvidia/cu13, those of CUDA 12 have a folder each
                children(site.resolve("nvidia"), "*")
                        .forEach(part -> addFolder(found, part.resolve("lib").toString()));
            }
            addFolder(found, python.resolve("lib").toString());
        }
    }

    private static void addToolkit(Set<Path> found, Path home) {
        addFolder(found, home.resolve("lib64").toString());
        addFolder(found, home.resolve("lib").toString());
        addFolder(found, home.resolve("targets/x86_64-linux/lib").toString());
    }

    private static void addFolder(Set<Path> found, String folder) {
        if (!folder.isEmpty() && Files.isDirectory(Path.of(folder))) {
            found.add(Path.of(folder));
        }
    }

    /** Children by pattern, the last in the alphabet first: the highest version. */
    private static List<Path> children(Path folder, String pattern) {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        List<Path> children = new ArrayList<>();
        try (DirectoryStream<Path> stream = Files.newDirectoryStream(folder, pattern)) {
            stream.forEach(children::add);
        } catch (IOException unreadable) {
            return List.of(); // a folder that cannot be listed holds nothing for us
        }
        children.sort(Collections.reverseOrder(Comparator.comparing(Path::toString)));
        return children;
    }

    /**
     * The first library with the first name that is anywhere.
     *
     * @param names best first, for example {@code libnvrtc.so.13, libnvrtc.so.12}
     */
    Result find(List<String> names) {
        for (String name : names) {
            for (Path folder : folders) {
                Path candidate = folder.resolve(name);
                if (Files.isRegularFile(candidate)) {
                    return new Result(Optional.of(candidate), names);
                }
            }
        }
        return new Result(Optional.empty(), names);
    }

    /** Names of a library of CUDA 13 and 12, that of the driver's version first. */
    static List<String> versions(String library, int driverVersion) {
        String thirteen = library + ".so.13";
        String twelve = library + ".so.12";
        return driverVersion >= 13000 ? List.of(thirteen, twelve) : List.of(twelve, thirteen);
    }
}
