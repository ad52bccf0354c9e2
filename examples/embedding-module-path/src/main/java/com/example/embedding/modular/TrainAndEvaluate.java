package com.example.embedding.modular;

import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.evaluate.EvaluationReport;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunListener;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.experiment.TrainingRun;
import io.mor.runtime.train.StepReport;
import java.nio.file.Path;
import java.util.List;

/** Trains a small model, following it, and evaluates it. Arguments: the text to train on and the folder that the run is made in. */
public final class TrainAndEvaluate {

    private TrainAndEvaluate() {}

    public static void main(String[] arguments) {
        Path folder = Path.of(arguments[1]);
        ExperimentConfig config = ExperimentConfig.builder()
                .with("name", "embedded")
                .with("runs", folder)
                .with("data.paths", List.of(arguments[0]))
                .with("data.shards", folder.resolve("shards"))
                .with("model.hidden", 32)
                .with("model.layers", 5)
                .with("model.ffn", 64)
                .with("model.context", 64)
                .with("model.sharing", "middle-cycle")
                .with("model.recursions", 3)
                .with("router", "expert-choice")
                .with("training.steps", 20)
                .with("training.batch", 4)
                .build();
        RunListener listener = new RunListener() {
            @Override
            public void onStep(StepReport report) {
                System.out.println("step " + (report.step() + 1) + " of " + report.totalSteps());
            }
        };
        try (Mor mor = Mor.open()) {
            Path trained;
            try (TrainingRun run = mor.train(config, listener)) {
                run.run(() -> false); // asked after every step whether to stop; what is done by then is saved
                trained = run.folder().path();
            }
            try (TrainedModel model = mor.load(trained)) {
                EvaluationReport report = model.evaluate(2, false, note -> {});
                System.out.println("evaluated " + report.tokens() + " tokens, loss is finite: "
                        + Double.isFinite(report.causal().loss()));
            }
        }
    }
}
