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
      "Measure a run on its validation text: loss, perplexity, bits per byte, depths, what the router reports.",
      "The causal column is what generation does. Beside it the selection of training, which sees later tokens."
    })
final class EvalCommand implements Callable<Integer> {

  private final Console console;

  @Mixin private LoadOptions load;

  @Option(
      names = "--batches",
      paramLabel = "N",
      defaultValue = "0",
      description = "Measure on so many batches (of training.batch rows) only; 0: the whole validation text. Default: ${DEFAULT-VALUE}.")
  private long batches;

  @Option(names = "--causal-only", description = "Leave out full-sequence selection; half the time.")
  private boolean causalOnly;

  @Option(names = "--json", description = "Print the figures as one line of JSON instead of a table.")
  private boolean json;

  EvalCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    return load.withModel(
        console,
        (mor, model) -> {
          EvaluationReport report = model.evaluate(batches, !causalOnly && model.model().isRouted(), console::say);
          if (json) {
            console.out().println(Json.line(report.figures()));
          } else {
            console.out().print(report.table());
          }
          return ExitCode.SUCCESS;
        });
  }
}
