package io.mor.cli;

import io.mor.api.backend.Backend;
import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.MorException;
import io.mor.runtime.plugin.ExtensionFactory;
import io.mor.runtime.plugin.FoundExtension;
import io.mor.runtime.plugin.PluginCatalog;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code mor doctor}. */
@Command(
        name = "doctor",
        description = "Say what this machine offers, which backends work here, and what would make it faster.")
final class DoctorCommand implements Callable<Integer> {

    private static final double MEBI = 1 << 20;

    private final Console console;

    @Mixin
    private PluginOptions plugins;

    DoctorCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() throws IOException {
        PrintStream out = console.out();
        Runtime runtime = Runtime.getRuntime();
        Table machine = new Table();
        machine.row("mor", Version.number());
        machine.row(
                "java",
                System.getProperty("java.vm.name") + " " + Runtime.version() + " in "
                        + System.getProperty("java.home"));
        machine.row(
                "system",
                System.getProperty("os.name") + " " + System.getProperty("os.version") + " "
                        + System.getProperty("os.arch"));
        machine.row("processors", Integer.toString(runtime.availableProcessors()));
        machine.row("heap", String.format("%.0f MiB at most; tensors live outside it", runtime.maxMemory() / MEBI));
        machine.row(
                "disk",
                String.format(
                        "%.0f MiB free here",
                        Files.getFileStore(Path.of("").toAbsolutePath()).getUsableSpace() / MEBI));
        machine.print(out, "");
        boolean usable = false;
        try (PluginCatalog catalog = plugins.discover();
                ExtensionFactory factory = new ExtensionFactory(catalog)) {
            out.println("extensions  " + catalog.extensions().size() + " on " + String.join(", ", catalog.searched()));
            out.println();
            for (FoundExtension found : catalog.extensions(ExtensionKind.BACKEND)) {
                usable |= tryBackend(factory, found);
                found.plugin().diagnosis().forEach(line -> out.println("  " + line));
            }
        }
        if (!usable) {
            console.say(
                    "no backend works here; a working mor has at least backend-reference and backend-cpu in its lib folder");
            return ExitCode.FAILURE;
        }
        return ExitCode.SUCCESS;
    }

    private boolean tryBackend(ExtensionFactory factory, FoundExtension found) {
        String id = found.extension().id();
        try (Backend backend = factory.create(ExtensionKind.BACKEND, id, Map.of(), Map.of())) {
            console.out().println("backend " + id + " works: " + backend.description());
            return true;
        } catch (MorException e) {
            Throwable cause = e.getCause() == null || e.getCause().getMessage() == null ? e : e.getCause();
            console.out().println("backend " + id + " does not work here: " + cause.getMessage());
            return false;
        }
    }
}
