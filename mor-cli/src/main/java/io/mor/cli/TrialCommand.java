package io.mor.cli;

import io.mor.study.run.EventWriter;
import io.mor.study.run.TrialRunner;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicBoolean;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code mor trial}: what {@code mor ablate} starts for each trial. */
@Command(
        name = "trial",
        hidden = true,
        description = {
            "Do one trial of a study: started by ablate, which reads its progress from stdout.",
            "It saves and stops when its standard input ends."
        })
final class TrialCommand implements Callable<Integer> {

    private final Console console;

    @Parameters(paramLabel = "FOLDER", description = "Folder of the trial.")
    private Path folder;

    @Option(
            names = "--fact",
            paramLabel = "NAME=VALUE",
            description = "A fact for the record of where it ran. May be repeated.")
    private Map<String, String> facts = new LinkedHashMap<>();

    TrialCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        StopRequest stop = StopRequest.listen(console);
        AtomicBoolean orphaned = new AtomicBoolean();
        Thread.ofPlatform().name("mor-parent").daemon(true).start(() -> {
            awaitEndOfInput();
            orphaned.set(true);
        });
        boolean done = TrialRunner.run(
                folder, facts, new EventWriter(console.out()), () -> stop.requested() || orphaned.get());
        return done ? ExitCode.SUCCESS : ExitCode.INTERRUPTED;
    }

    /** The parent keeps the other end open as long as it lives and wants the trial. */
    private static void awaitEndOfInput() {
        try {
            while (System.in.read() >= 0) {
                continue;
            }
        } catch (IOException e) {
            return; // as good as an end
        }
    }
}
