package io.mor.cli;

import io.mor.study.run.TrialLauncher;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Starts trials as processes like this one: same JVM, same modules or classes, same options. */
final class TrialProcesses implements TrialLauncher {

    private final Map<String, String> facts;

    /**
     * A launcher.
     *
     * @param facts about the program, for the record of each trial
     */
    TrialProcesses(Map<String, String> facts) {
        this.facts = facts;
    }

    @Override
    public Command command(Path folder, int processors) {
        List<String> line = new ArrayList<>();
        line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        String modules = System.getProperty("jdk.module.path");
        Path home = Path.of(System.getProperty("mor.home", "."));
        if (Files.isRegularFile(home.resolve("jvm.options"))) {
            line.add("@" + home.resolve("jvm.options"));
            line.add("-Dmor.home=" + home);
        }
        line.add("-XX:+UseSerialGC");
        line.add("-XX:ActiveProcessorCount=" + processors);
        String further = System.getenv("MOR_JAVA_OPTIONS");
        if (further != null && !further.isBlank()) {
            line.addAll(List.of(further.strip().split("\\s+")));
        }
        if (modules == null) {
            line.addAll(List.of(
                    "--add-modules",
                    "jdk.incubator.vector",
                    "--enable-native-access=ALL-UNNAMED",
                    "--class-path",
                    System.getProperty("java.class.path"),
                    Main.class.getName()));
        } else {
            line.addAll(List.of("--module-path", modules, "--module", "io.mor.cli/" + Main.class.getName()));
        }
        line.add("trial");
        line.add(folder.toString());
        facts.forEach((name, value) -> line.add("--fact=" + name + "=" + value));
        return new Command(line, Map.of());
    }
}
