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
            "Set the cut-offs of a run's selector from its validation text, so that depth is a knob at deployment.",
            "The run keeps them beside its checkpoints, which stay as they are."
        })
final class CalibrateCommand implements Callable<Integer> {

    private final Console console;

    @Mixin
    private LoadOptions load;

    @ArgGroup(multiplicity = "1")
    private Target target;

    /** What to reach. */
    static final class Target {
        @Option(
                names = "--capacity",
                paramLabel = "C",
                split = ",",
                required = true,
                description = "Share of the tokens that is to run each recursion, for example 1,0.5,0.25.")
        private List<Double> capacities;

        @Option(
                names = "--mean-depth",
                paramLabel = "D",
                required = true,
                description = "Recursions that a token is to run on average, for example 1.7.")
        private Double meanDepth;

        CalibrationTarget wanted() {
            return meanDepth == null
                    ? new CalibrationTarget.Capacities(capacities)
                    : new CalibrationTarget.MeanDepth(meanDepth);
        }
    }

    @Option(
            names = "--batches",
            paramLabel = "N",
            defaultValue = "20",
            description =
                    "Batches of the run's training size to measure on; 0: all validation text (default: ${DEFAULT-VALUE}).")
    private int batches;

    CalibrateCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        return load.withModel(console, (mor, model) -> {
            console.out()
                    .print(model.calibrate(target.wanted(), Batches.checked(batches), console::say)
                            .table());
            return ExitCode.SUCCESS;
        });
    }
}
