package io.mor.cli;

import io.mor.runtime.experiment.CalibrationTarget;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code mor calibrate}. */
@Command(
    name = "calibrate",
    description = {
      "Set how many recursions tokens get: finds the selector's cut-offs on held-out text and keeps them in the run folder.",
      "Every later command takes them from there; delete calibration.json to go back to those of training."
    })
final class CalibrateCommand implements Callable<Integer> {

  private final Console console;

  @Mixin private LoadOptions load;

  @ArgGroup(exclusive = true, multiplicity = "1")
  private Target target;

  /** One of two ways to say it. */
  static final class Target {
    @Option(
        names = "--capacity",
        paramLabel = "SHARE",
        split = ",",
        required = true,
        description = "Share of all tokens that runs each recursion, the first 1, not increasing; for example 1,0.5,0.25.")
    private List<Double> capacities;

    @Option(names = "--mean-depth", paramLabel = "DEPTH", required = true, description = "Recursions per token on average; for example 1.7.")
    private Double meanDepth;

    CalibrationTarget chosen() {
      return capacities != null ? new CalibrationTarget.Capacities(capacities) : new CalibrationTarget.MeanDepth(meanDepth);
    }
  }

  @Option(
      names = "--batches",
      paramLabel = "N",
      defaultValue = "0",
      description = "Calibrate on so many batches of validation text only; 0: all of it. Default: ${DEFAULT-VALUE}.")
  private long batches;

  CalibrateCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() {
    return load.withModel(
        console,
        (mor, model) -> {
          console.out().print(model.calibrate(target.chosen(), batches, console::say).table());
          return ExitCode.SUCCESS;
        });
  }
}
