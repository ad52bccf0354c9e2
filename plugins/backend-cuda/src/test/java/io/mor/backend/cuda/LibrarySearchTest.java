package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LibrarySearchTest {

    @TempDir
    private Path root;

    private Path file(String path) throws IOException {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        return Files.createFile(file);
    }

    private LibrarySearch search(Map<String, String> environment) {
        return LibrarySearch.of(name -> environment.getOrDefault(name, ""), root);
    }

    private static Optional<Path> nvrtc(LibrarySearch search, int driverVersion) {
        return search.find(LibrarySearch.versions("libnvrtc", driverVersion)).library();
    }

    @Test
    void whatTheUserNamedComesBeforeTheSystemAndPython() throws IOException {
        Path named = file("my/cuda/lib64/libnvrtc.so.13");
        Path onLoaderPath = file("loader/libnvrtc.so.13");
        Path toolkit = file("usr/local/cuda/lib64/libnvrtc.so.13");
        Path python = file("venv/lib/python3.12/site-packages/nvidia/cu13/lib/libnvrtc.so.13");
        Map<String, String> environment = Map.of(
                "CUDA_HOME", root.resolve("my/cuda").toString(),
                "LD_LIBRARY_PATH", root.resolve("absent") + ":" + root.resolve("loader"),
                "PATH", root.resolve("venv/bin").toString());
        assertEquals(Optional.of(named), nvrtc(search(environment), 13000));
        Files.delete(named);
        assertEquals(Optional.of(onLoaderPath), nvrtc(search(environment), 13000));
        Files.delete(onLoaderPath);
        assertEquals(Optional.of(toolkit), nvrtc(search(environment), 13000));
        Files.delete(toolkit);
        assertEquals(Optional.of(python), nvrtc(search(environment), 13000));
        Files.delete(python);
        assertEquals(Optional.empty(), nvrtc(search(environment), 13000));
    }

    @Test
    void theDriversVersionOfCudaComesFirstWhereverItLies() throws IOException {
        Path twelve = file("usr/local/cuda-12.6/lib64/libnvrtc.so.12");
        Path thirteen = file("usr/local/lib/python3.11/dist-packages/nvidia/cu13/lib/libnvrtc.so.13");
        assertEquals(Optional.of(thirteen), nvrtc(search(Map.of()), 13000));
        assertEquals(Optional.of(twelve), nvrtc(search(Map.of()), 12060));
        Files.delete(twelve);
        assertEquals(Optional.of(thirteen), nvrtc(search(Map.of()), 12060));
    }

    @Test
    void theHighestToolkitComesFirst() throws IOException {
        file("usr/local/cuda-13.0/lib64/libnvrtc.so.13");
        Path higher = file("usr/local/cuda-13.2/targets/x86_64-linux/lib/libnvrtc.so.13");
        assertEquals(Optional.of(higher), nvrtc(search(Map.of()), 13000));
    }

    @Test
    void wheelsOfCuda12HaveAFolderEach() throws IOException {
        Path wheel = file("home/.local/lib/python3.10/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
        assertEquals(
                Optional.of(wheel),
                nvrtc(search(Map.of("HOME", root.resolve("home").toString())), 13000));
    }

    @Test
    void onlyFoldersThatExistAreNamedEachOnce() throws IOException {
        file("usr/lib64/other.so");
        String folder = root.resolve("usr/lib64").toString();
        assertEquals(
                List.of(Path.of(folder)),
                search(Map.of("LD_LIBRARY_PATH", folder + ":/absent::" + folder))
                        .folders());
    }
}
