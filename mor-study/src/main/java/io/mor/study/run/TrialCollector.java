package io.mor.study.run;

import io.mor.runtime.MorException;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.study.StudyResults;
import io.mor.study.StudyResults.DepthHistogram;
import io.mor.study.StudyResults.Kind;
import io.mor.study.StudyResults.Plan;
import io.mor.study.StudyResults.Point;
import io.mor.study.StudyResults.State;
import io.mor.study.StudyResults.Trial;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/** Reads what a trial has left in its folder so far. */
final class TrialCollector {

    private static final String DEPTH_SHARE = "validation-depth-share-";
    private static final String TOKENS = "tokens";
    private static final String RATE = "tokens-per-second";

    private TrialCollector() {}

    /**
     * The trial as its folder shows it.
     *
     * @param running whether its process runs now
     * @param failure what is known of a failure beside the folder's own word
     */
    static Trial collect(TrialFolder folder, TrialSpec spec, boolean running, Optional<String> failure) {
        Optional<TrialOutcome> outcome = folder.outcome(spec);
        Optional<String> cause = failure.or(folder::failure);
        State state = outcome.isPresent()
                ? State.DONE
                : running ? State.RUNNING : cause.isPresent() ? State.FAILED : State.PENDING;
        Series series = spec.kind() == Kind.TRAINING ? Series.read(folder, spec.plan()) : Series.EMPTY;
        Map<String, Double> figures =
                new LinkedHashMap<>(outcome.map(TrialOutcome::figures).orElse(Map.of()));
        if (outcome.isPresent() && series.seconds() > 0) {
            figures.put(StudyResults.TRAINING_RATE, spec.plan().tokens() / series.seconds());
            figures.put("training-seconds", series.seconds());
        }
        return new Trial(
                spec.id(),
                spec.kind(),
                spec.parent(),
                spec.variant(),
                spec.axes(),
                spec.seed(),
                spec.config(),
                ExperimentConfig.builder().yaml(spec.config()).build().flat(),
                spec.plan(),
                state,
                state == State.FAILED ? cause : Optional.empty(),
                outcome.map(TrialOutcome::environment).orElse(Map.of()),
                series.points(),
                series.depths(),
                figures,
                outcome.map(TrialOutcome::samples).orElse(List.of()));
    }

    /** Seconds of training of a finished trial and the model-flops spent in them; empty if it is not there. */
    static Optional<double[]> pace(TrialFolder folder, TrialSpec spec) {
        if (spec.kind() != Kind.TRAINING || folder.outcome(spec).isEmpty()) {
            return Optional.empty();
        }
        double seconds = Series.read(folder, spec.plan()).seconds();
        return seconds > 0 ? Optional.of(new double[] {seconds, spec.plan().modelFlops()}) : Optional.empty();
    }

    /** Figures over training. */
    private record Series(Map<String, List<Point>> points, List<DepthHistogram> depths, double seconds) {

        static final Series EMPTY = new Series(Map.of(), List.of(), 0);

        static Series read(TrialFolder folder, Plan plan) {
            if (!Files.isRegularFile(folder.metrics())) {
                return EMPTY;
            }
            try {
                Reader reader = new Reader(plan);
                for (String line : Files.readAllLines(folder.metrics())) {
                    JsonNode json;
                    try {
                        json = JsonFiles.MAPPER.readTree(line);
                    } catch (JacksonException e) {
                        break; // half a line: its process was killed, and what follows is written again
                    }
                    reader.line(json);
                }
                return new Series(reader.points, reader.depths, reader.seconds);
            } catch (IOException e) {
                throw new MorException(folder.metrics() + " cannot be read: " + e.getMessage(), e);
            }
        }
    }

    /** Goes through the lines in order; seconds are what the rates say of the tokens between two reports. */
    private static final class Reader {
        private final Plan plan;
        private final Map<String, List<Point>> points = new LinkedHashMap<>();
        private final List<DepthHistogram> depths = new ArrayList<>();
        private double seconds;
        private double rate;
        private long timed;

        Reader(Plan plan) {
            this.plan = plan;
        }

        void line(JsonNode json) {
            long step = json.path("step").longValue();
            long tokens = plan.steps() == 0 ? 0 : (step + 1) * (plan.tokens() / plan.steps());
            if (json.path(RATE).isNumber() && json.path(RATE).doubleValue() > 0) {
                rate = json.path(RATE).doubleValue();
                seconds += (tokens - timed) / rate;
                timed = tokens;
            }
            double now = seconds + (rate > 0 ? (tokens - timed) / rate : 0);
            double share = plan.tokens() == 0 ? 0 : (double) tokens / plan.tokens();
            Map<Integer, Double> shares = new TreeMap<>();
            for (Map.Entry<String, JsonNode> entry : json.properties()) {
                String name = entry.getKey();
                if (name.equals("step")
                        || name.equals(TOKENS)
                        || !entry.getValue().isNumber()) {
                    continue;
                }
                double value = entry.getValue().doubleValue();
                points.computeIfAbsent(name, key -> new ArrayList<>())
                        .add(new Point(step, tokens, share * plan.modelFlops(), share * plan.paperFlops(), now, value));
                if (name.startsWith(DEPTH_SHARE)
                        && name.substring(DEPTH_SHARE.length()).matches("\\d+")) {
                    shares.put(Integer.valueOf(name.substring(DEPTH_SHARE.length())), value);
                }
            }
            if (!shares.isEmpty()) {
                depths.add(new DepthHistogram(step, List.copyOf(shares.values())));
            }
        }
    }
}
