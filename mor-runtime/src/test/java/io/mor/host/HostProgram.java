package io.mor.host;

import io.mor.api.data.Tokenizer;
import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.plugin.ExtensionFactory;
import io.mor.runtime.plugin.FoundExtension;
import io.mor.runtime.plugin.PluginCatalog;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.ref.WeakReference;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A program that has the runtime on its class path or module path. Reads a request a line, {@code command TAB folder TAB ...}, answers with lines
 * and a line that is a dot, ends with its input. A failure is the line {@code !class TAB message}.
 */
public final class HostProgram {

    private HostProgram() {}

    public static void main(String[] arguments) throws IOException {
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            List<String> request = List.of(line.split("\t"));
            try {
                answer(request).forEach(out::println);
            } catch (Exception | LinkageError e) {
                out.println("!" + e.getClass().getName() + "\t"
                        + String.valueOf(e.getMessage()).replace("\n", "\\n"));
            }
            out.println(".");
        }
    }

    private static List<String> answer(List<String> request) throws Exception {
        List<Path> folders = List.of(Path.of(request.get(1)));
        return switch (request.getFirst()) {
            case "where" -> List.of(HostProgram.class.getModule().isNamed() ? "module path" : "class path");
            case "extensions" -> {
                try (PluginCatalog catalog = PluginCatalog.discover(folders)) {
                    yield catalog.extensions().stream()
                            .map(FoundExtension::describe)
                            .toList();
                }
            }
            case "fingerprint" -> {
                try (PluginCatalog catalog = PluginCatalog.discover(folders);
                        Tokenizer tokenizer = tokenizer(catalog, request)) {
                    yield List.of(tokenizer.fingerprint());
                }
            }
            case "loaders" -> List.of(String.valueOf(loadersLeft(folders, request)));
            default -> throw new IllegalArgumentException("no such request: " + request);
        };
    }

    private static Tokenizer tokenizer(PluginCatalog catalog, List<String> request) {
        Map<String, Object> options = new HashMap<>();
        for (String option : request.subList(3, request.size())) {
            options.put(
                    option.substring(0, option.indexOf('=')),
                    Integer.valueOf(option.substring(option.indexOf('=') + 1)));
        }
        try (ExtensionFactory factory = new ExtensionFactory(catalog)) {
            return factory.create(ExtensionKind.TOKENIZER, request.get(2), options, Map.of());
        }
    }

    /** Class loaders of 100 catalogs that can still be reached when the catalogs are closed. */
    private static long loadersLeft(List<Path> folders, List<String> request) throws InterruptedException {
        List<WeakReference<ClassLoader>> loaders = new ArrayList<>();
        for (int experiment = 0; experiment < 100; experiment++) {
            try (PluginCatalog catalog = PluginCatalog.discover(folders);
                    Tokenizer tokenizer = tokenizer(catalog, request)) {
                loaders.add(new WeakReference<>(tokenizer.getClass().getClassLoader()));
            }
        }
        for (int attempt = 0; attempt < 50 && left(loaders) > 0; attempt++) {
            System.gc();
            Thread.sleep(20);
        }
        return left(loaders);
    }

    private static long left(List<WeakReference<ClassLoader>> loaders) {
        return loaders.stream().filter(loader -> !loader.refersTo(null)).count();
    }
}
