package io.mor.cli;

import io.mor.runtime.evaluate.EvaluationReport;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code mor eval}. */
@Command(
        name = "eval",
        description = {
            "Measure a run on its validation text: loss, perplexity, bits per byte, depths and routing figures.",
            "Causal selection, which generation uses, comes first; the full-sequence selection of training stands beside it, marked as not causal."
        })
final class EvalCommand implements Callable<Integer> {

    private final Console console;

    @Mixin
    private LoadOptions load;

    @Option(
            names = "--batches",
            paramLabel = "N",
            defaultValue = "0",
            description = "Batches of the run's training size to measure on; 0, the default: all validation text.")
    private int batches;

    @Option(names = "--causal-only", description = "Leave the full-sequence selection out.")
    private boolean causalOnly;

    @Option(names = "--json", description = "Print one line of JSON instead of a table.")
    private boolean json;

    EvalCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        return load.withModel(console, (mor, model) -> {
            EvaluationReport report = model.evaluate(Batches.checked(batches), !causalOnly, console::say);
            console.out().print(json ? Json.line(report.figures()) + System.lineSeparator() : report.table());
            return ExitCode.SUCCESS;
        });
    }
}
