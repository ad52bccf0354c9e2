package io.mor.cli;

import io.mor.study.StudyDatabase;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Tables of a study's results. */
final class StudyTables {

    private static final String RANKING =
            "SELECT variant, seeds, causal_loss, spread, full_sequence_loss, mean_depth, parameters, tokens, "
                    + "model_flops, kv_bytes_per_token, training_seconds, decoding_tokens_per_second FROM ranking ORDER BY causal_loss";

    private StudyTables() {}

    /** Prints the variants, the lowest causal loss first, and the trials that failed. */
    static void ranking(Console console, Path folder) {
        try (StudyDatabase database = StudyDatabase.read(folder)) {
            ranking(console, database);
        }
    }

    /** The same of an open database. */
    static void ranking(Console console, StudyDatabase database) {
        Table table = new Table();
        table.row(
                "rank",
                "variant",
                "causal loss",
                "+- spread",
                "seeds",
                "full-sequence*",
                "mean depth",
                "parameters",
                "tokens",
                "model-flops",
                "KV bytes/token",
                "training s",
                "decoding/s");
        int rank = 0;
        for (List<Optional<String>> row : database.ask(RANKING).rows()) {
            rank++;
            table.row(
                    Integer.toString(rank),
                    row.get(0).orElse(""),
                    number("%.4f", row.get(2)),
                    number("%.4f", row.get(3)),
                    row.get(1).orElse(""),
                    number("%.4f", row.get(4)),
                    number("%.2f", row.get(5)),
                    number("%,.0f", row.get(6)),
                    number("%,.0f", row.get(7)),
                    number("%.2e", row.get(8)),
                    number("%,.0f", row.get(9)),
                    number("%.0f", row.get(10)),
                    number("%,.0f", row.get(11)));
        }
        if (rank == 0) {
            console.out().println("no trial is done yet");
        } else {
            table.print(console.out(), "");
            console.out()
                    .println(
                            "losses: nats per token of validation text, causal selection, mean over seeds; spread: standard deviation over seeds");
            console.out().println("* selection that sees later tokens, for comparison only; never ranks");
        }
        for (List<Optional<String>> row : database.ask(
                        "SELECT state, variant, seed, failure FROM result WHERE state <> 'done' ORDER BY place")
                .rows()) {
            console.out()
                    .println(row.get(0).orElse("") + ": " + row.get(1).orElse("") + ", seed "
                            + row.get(2).orElse("")
                            + row.get(3).map(cause -> ": " + cause).orElse(""));
        }
    }

    /** An answer as a table. */
    static void print(Console console, StudyDatabase.Answer answer) {
        Table table = new Table();
        table.row(answer.columns().toArray(String[]::new));
        for (List<Optional<String>> row : answer.rows()) {
            List<String> cells = new ArrayList<>();
            row.forEach(cell -> cells.add(cell.map(StudyTables::oneLine).orElse("")));
            table.row(cells.toArray(String[]::new));
        }
        table.print(console.out(), "");
    }

    private static String oneLine(String text) {
        return text.replace("\n", "\\n");
    }

    private static String number(String format, Optional<String> value) {
        return value.map(text -> String.format(Locale.ROOT, format, Double.valueOf(text)))
                .orElse("-");
    }
}
