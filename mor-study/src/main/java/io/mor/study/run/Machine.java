package io.mor.study.run;

import io.mor.api.backend.Backend;
import io.mor.api.plugin.MorPlugin;
import io.mor.runtime.plugin.FoundExtension;
import io.mor.runtime.plugin.PluginCatalog;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;

/** Where a trial runs, for its record. */
final class Machine {

    private Machine() {}

    /** Facts by name. */
    static Map<String, String> describe(PluginCatalog catalog, Backend backend, Map<String, String> program) {
        Map<String, String> facts = new LinkedHashMap<>(program);
        facts.put(
                "java",
                System.getProperty("java.vm.name") + " " + Runtime.version() + ", "
                        + System.getProperty("java.vendor"));
        facts.put(
                "os",
                System.getProperty("os.name") + " " + System.getProperty("os.version") + " "
                        + System.getProperty("os.arch"));
        facts.put("cpu", processor());
        facts.put("processors", Integer.toString(Runtime.getRuntime().availableProcessors()));
        facts.put("backend", backend.description());
        if (backend.description().contains("NVIDIA")) {
            facts.put("gpu", backend.description());
        }
        Optional.ofNullable(System.getenv(Devices.VISIBLE)).ifPresent(gpus -> facts.put("visible-gpus", gpus));
        Map<String, String> plugins = new TreeMap<>();
        for (FoundExtension found : catalog.extensions()) {
            MorPlugin plugin = found.plugin();
            Module module = plugin.getClass().getModule();
            String name =
                    module.isNamed() ? module.getName() : plugin.getClass().getPackageName();
            plugins.put("plugin " + name, version(plugin.getClass()));
        }
        facts.putAll(plugins);
        return facts;
    }

    private static String version(Class<?> type) {
        if (type.getModule().isNamed()) {
            return type.getModule().getDescriptor().rawVersion().orElse("unknown");
        }
        String version = type.getPackage().getImplementationVersion();
        return version == null ? "unknown" : version;
    }

    private static String processor() {
        Path file = Path.of("/proc/cpuinfo");
        if (Files.isReadable(file)) {
            try (Stream<String> lines = Files.lines(file)) {
                return lines.filter(line -> line.startsWith("model name"))
                        .findFirst()
                        .map(line -> line.substring(line.indexOf(':') + 1).strip())
                        .orElse(System.getProperty("os.arch"));
            } catch (IOException e) {
                return System.getProperty("os.arch");
            }
        }
        return System.getProperty("os.arch");
    }
}
