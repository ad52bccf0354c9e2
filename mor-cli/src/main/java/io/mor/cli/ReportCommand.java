package io.mor.cli;

import io.mor.report.ReportOptions;
import io.mor.report.StudyReport;
import io.mor.runtime.UsageException;
import io.mor.study.StudyDatabase;
import io.mor.study.StudyResults;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code mor report}. */
@Command(
        name = "report",
        description = {
            "Write a study's results as one HTML file that needs no network and can be mailed.",
            "Ranking with the spread over seeds, loss curves, loss against cost, depths, text coloured by depth, configs, failures. It may be made at"
                    + " any time, also of a study that is not finished."
        })
final class ReportCommand implements Callable<Integer> {

    private static final String FILE = "report.html";

    private final Console console;

    @Parameters(paramLabel = "STUDY", description = "Folder of the study, or its name if it is in runs/studies.")
    private Path study;

    @Option(
            names = {"-o", "--out"},
            paramLabel = "FILE",
            description = "Where to write it; by default " + FILE
                    + " in the study's folder. A file that is there is replaced.")
    private Optional<Path> out;

    ReportCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        Path folder = ResultsCommand.folder(study);
        StudyResults results;
        try (StudyDatabase database = StudyDatabase.read(folder)) {
            results = database.results();
        }
        Path target = out.orElse(folder.resolve(FILE));
        if (Files.isDirectory(target)) {
            throw new UsageException(
                    "--out: " + target + " is a folder; name a file, for example " + target.resolve(FILE));
        }
        new StudyReport(results, new ReportOptions(Instant.now(), Version.number(), Optional.of("mor report " + study)))
                .write(target);
        long done = results.trials().stream()
                .filter(trial -> trial.state() == StudyResults.State.DONE)
                .count();
        console.say(done + " of " + results.trials().size() + " trials are done");
        console.out().println(target);
        return ExitCode.SUCCESS;
    }
}
