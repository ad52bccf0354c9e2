package io.mor.cli;

import io.mor.runtime.UsageException;
import io.mor.study.StudyDatabase;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code mor results}. */
@Command(
        name = "results",
        description = {
            "Show what a study found: its variants by causal loss, or the answer to a question in SQL.",
            "Views: result (a row for every trial), ranking (mean and spread over seeds). Tables: trial, axis, config, environment, metric,",
            "depth, final, sample, sample_score, study."
        })
final class ResultsCommand implements Callable<Integer> {

    private static final String EVERY_TRIAL = "SELECT * FROM result ORDER BY place";

    private final Console console;

    @Parameters(paramLabel = "STUDY", description = "Folder of the study, or its name if it is in runs/studies.")
    private Path study;

    @Option(names = "--sql", paramLabel = "QUERY", description = "Ask this, for example \"SELECT * FROM ranking\".")
    private Optional<String> sql;

    @Option(
            names = "--csv",
            paramLabel = "FILE",
            description = "Write the answer (without --sql: every trial) as comma-separated values.")
    private Optional<Path> csv;

    @Option(names = "--json", paramLabel = "FILE", description = "Write it as a JSON array.")
    private Optional<Path> json;

    @Option(names = "--parquet", paramLabel = "FILE", description = "Write it as Parquet.")
    private Optional<Path> parquet;

    ResultsCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        try (StudyDatabase database = StudyDatabase.read(folder(study))) {
            List<Path> written = new ArrayList<>();
            export(database, StudyDatabase.Format.CSV, csv, written);
            export(database, StudyDatabase.Format.JSON, json, written);
            export(database, StudyDatabase.Format.PARQUET, parquet, written);
            if (!written.isEmpty()) {
                written.forEach(file -> console.out().println(file));
            } else if (sql.isPresent()) {
                StudyTables.print(console, database.ask(sql.get()));
            } else {
                StudyTables.ranking(console, database);
            }
            return ExitCode.SUCCESS;
        }
    }

    private void export(StudyDatabase database, StudyDatabase.Format format, Optional<Path> file, List<Path> written) {
        file.ifPresent(path -> {
            database.export(sql.orElse(EVERY_TRIAL), format, path);
            written.add(path);
        });
    }

    /**
     * The folder that an argument means.
     *
     * @throws UsageException if there is no study
     */
    static Path folder(Path given) {
        Path named = Path.of("runs", "studies").resolve(given);
        for (Path folder : List.of(given, named)) {
            if (Files.isRegularFile(folder.resolve(StudyDatabase.FILE))) {
                return folder;
            }
        }
        throw new UsageException(given + " is no folder of a study, and neither is " + named + ": there is no "
                + StudyDatabase.FILE + "; 'mor ablate' makes one");
    }
}
