package io.mor.report;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A headless Chromium of its own, with a fresh profile, driven through its DevTools protocol. Closing it ends all its processes. */
final class Chromium {

    private static final List<String> NAMES =
            List.of("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome");
    private static final long START_SECONDS = 60;
    private static final long END_SECONDS = 5;

    private final Process process;
    private final Path profile;
    private final HttpClient http;
    private final DevTools tools;

    private Chromium(Process process, Path profile, HttpClient http, DevTools tools) {
        this.process = process;
        this.profile = profile;
        this.http = http;
        this.tools = tools;
    }

    /** Where one is installed: what {@code MOR_CHROMIUM} names, else the first on the PATH. */
    static Optional<Path> find() {
        String named = System.getenv("MOR_CHROMIUM");
        if (named != null && !named.isEmpty()) {
            return Optional.of(Path.of(named));
        }
        return Stream.of(System.getenv("PATH").split(File.pathSeparator))
                .flatMap(folder -> NAMES.stream().map(name -> Path.of(folder, name)))
                .filter(Files::isExecutable)
                .findFirst();
    }

    /** Starts it. */
    static Chromium start(Path program) throws IOException, InterruptedException {
        Path profile = Files.createTempDirectory("mor-chromium");
        List<String> command = new ArrayList<>(List.of(
                program.toString(),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-extensions",
                "--remote-debugging-port=0",
                "--user-data-dir=" + profile,
                "about:blank"));
        Path log = profile.resolve("chromium.log");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        HttpClient http = HttpClient.newHttpClient();
        try {
            return new Chromium(process, profile, http, new DevTools(http, address(process, profile, log)));
        } catch (IOException | InterruptedException | RuntimeException e) {
            end(process, profile);
            http.close();
            throw e;
        }
    }

    /** Chromium writes its port and path into its profile when it listens. */
    private static URI address(Process process, Path profile, Path log) throws IOException, InterruptedException {
        Path file = profile.resolve("DevToolsActivePort");
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS);
        while (System.nanoTime() < end) {
            if (Files.exists(file)) {
                List<String> lines = Files.readAllLines(file);
                if (lines.size() >= 2) {
                    return URI.create("ws://127.0.0.1:" + lines.get(0).strip()
                            + lines.get(1).strip());
                }
            }
            if (!process.isAlive()) {
                throw new IOException("Chromium ended with " + process.exitValue() + ": " + Files.readString(log));
            }
            Thread.sleep(50);
        }
        throw new IOException("Chromium did not listen within " + START_SECONDS + " s: " + Files.readString(log));
    }

    /** A new tab. */
    Page page() throws InterruptedException {
        return new Page(tools);
    }

    void close() throws IOException, InterruptedException {
        try {
            tools.close();
        } finally {
            end(process, profile);
            http.close();
        }
    }

    private static void end(Process process, Path profile) throws IOException, InterruptedException {
        List<ProcessHandle> all = Stream.concat(process.descendants(), Stream.of(process.toHandle()))
                .toList();
        if (!process.waitFor(END_SECONDS, TimeUnit.SECONDS)) {
            process.destroy();
        }
        if (!process.waitFor(END_SECONDS, TimeUnit.SECONDS)) {
            process.destroyForcibly().waitFor(END_SECONDS, TimeUnit.SECONDS);
        }
        all.forEach(ProcessHandle::destroyForcibly);
        for (ProcessHandle each : all) {
            each.onExit()
                    .orTimeout(END_SECONDS, TimeUnit.SECONDS)
                    .exceptionally(failure -> each)
                    .join();
        }
        delete(profile);
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        }
    }
}
