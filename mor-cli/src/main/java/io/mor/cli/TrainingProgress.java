package io.mor.cli;

import io.mor.runtime.data.DataListener;
import io.mor.runtime.experiment.RunListener;
import io.mor.runtime.train.StepReport;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Shows how a training run goes. Not thread-safe. */
final class TrainingProgress implements RunListener, AutoCloseable {

    private static final int BAR = 20;

    /** Of an evaluation's many figures those that fit a line; the metric sinks have all. */
    private static final List<String> HEADLINES = List.of(
            "validation-loss", "validation-bits-per-byte", "validation-mean-depth", "validation-loss-full-sequence");

    private final String name;
    private final ProgressLine line;
    private Map<String, Double> evaluation = Map.of();

    /**
     * Progress of a run.
     *
     * @param name begins each line
     */
    TrainingProgress(Console console, String name) {
        this.name = name;
        this.line = new ProgressLine(console);
    }

    @Override
    public void onStep(StepReport report) {
        long done = report.step() + 1;
        String text = String.format(
                Locale.ROOT,
                "%s %s %d/%d  loss %.3f  %,.0f tokens/s  ETA %s",
                name,
                ProgressLine.bar((double) done / report.totalSteps(), BAR),
                done,
                report.totalSteps(),
                report.crossEntropy(),
                report.tokensPerSecond(),
                ProgressLine.duration(report.secondsLeft()));
        if (done == report.totalSteps()) {
            line.finish(text);
        } else {
            line.show(text);
        }
    }

    @Override
    public void onEvaluation(long step, Map<String, Double> figures) {
        evaluation = figures;
        StringBuilder text = new StringBuilder(name + " step " + (step + 1) + ":");
        headlines().forEach((figure, value) -> text.append(String.format(Locale.ROOT, "  %s %.4f", figure, value)));
        line.print(text.toString());
    }

    /** The figures of the last evaluation that matter most, in words; empty before the first. */
    Map<String, Double> headlines() {
        Map<String, Double> figures = new LinkedHashMap<>();
        for (String figure : HEADLINES) {
            if (evaluation.containsKey(figure)) {
                figures.put(figure.substring("validation-".length()).replace('-', ' '), evaluation.get(figure));
            }
        }
        return figures;
    }

    @Override
    public void note(String message) {
        line.print("mor: " + message);
    }

    @Override
    public DataListener data() {
        return new DataListener() {
            @Override
            public void warning(String message) {
                note(message);
            }

            @Override
            public void tokenizing(Progress progress) {
                String text = String.format(
                        Locale.ROOT,
                        "%s: %,d %s, %,d characters, %,d tokens",
                        progress.finished() ? "tokenized" : "tokenizing",
                        progress.documents(),
                        progress.documents() == 1 ? "document" : "documents",
                        progress.characters(),
                        progress.tokens());
                if (progress.finished()) {
                    line.finish(text);
                } else {
                    line.show(text);
                }
            }
        };
    }

    /** Ends the line that is written over; what is printed next begins a new one. */
    void endLine() {
        line.close();
    }

    @Override
    public void close() {
        line.close();
    }
}
