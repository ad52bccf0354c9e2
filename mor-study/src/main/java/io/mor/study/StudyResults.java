package io.mor.study;

import java.time.Instant;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Everything a study has found so far, as it is in its database. Immutable; collections keep their order.
 *
 * @param study the study
 * @param trials in the order of the plan
 */
public record StudyResults(Study study, List<Trial> trials) {

    /** The figure that ranks trials: mean loss in nats per token on validation text, with the causal selection of generation. */
    public static final String CAUSAL_LOSS = "validation-loss";

    /** The same with the selection of training, which sees later tokens; never ranks. */
    public static final String FULL_SEQUENCE_LOSS = "validation-loss-full-sequence";

    /** Final figure: unique parameters, routers included. */
    public static final String PARAMETERS = "parameters";

    /** Final figure: bytes of keys and values per token held in decoding. */
    public static final String KV_BYTES_PER_TOKEN = "kv-bytes-per-token";

    /** Final figure: tokens per second of decoding one sequence. */
    public static final String DECODING_RATE = "decoding-tokens-per-second";

    /** Final figure: tokens per second of training, without evaluation. */
    public static final String TRAINING_RATE = "training-tokens-per-second";

    /** Copies the list. */
    public StudyResults {
        trials = List.copyOf(trials);
    }

    /**
     * The study itself.
     *
     * @param name its name
     * @param definition the study file's text
     * @param created when it was first run
     * @param updated when its database was last written
     * @param morVersion of the program that wrote it
     */
    public record Study(String name, String definition, Instant created, Instant updated, String morVersion) {}

    /** How far a trial is. */
    public enum State {
        /** Not begun, or stopped and to go on with the same command. */
        PENDING,
        /** Running, or killed while it ran. */
        RUNNING,
        /** Done: its final figures are there. */
        DONE,
        /** Failed; the trial's failure says why. */
        FAILED
    }

    /** What a trial does. */
    public enum Kind {
        /** Trains a model and measures it. */
        TRAINING,
        /** Measures the model of another trial under changed settings. */
        EVALUATION
    }

    /**
     * One experiment of the study.
     *
     * @param id short and stable: a hash of what the trial is made of
     * @param kind whether it trains or measures what another trained
     * @param parent the trial whose model it measures; for an evaluation
     * @param variant what it is called in tables: its axis values without the seed; trials that differ in the seed alone share it
     * @param axes axis to value, as texts; the seed is not among them
     * @param seed of everything random
     * @param config the resolved config as YAML
     * @param configValues the same as key paths and values, {@code training.steps} to {@code 1000}
     * @param plan what was planned
     * @param state how far it is
     * @param failure why it failed
     * @param environment where it ran, by name: {@code mor}, {@code commit}, {@code java}, {@code cpu}, {@code processors}, {@code backend},
     *     {@code gpu} if there is one, {@code os}, {@code plugin ID} for each plugin's version; empty before it ran
     * @param series figures over training, by figure's name
     * @param depths histograms of depths over training, ascending in step; empty for a model without recursions
     * @param figures final figures by name, see the constants of {@link StudyResults}; empty before it is done
     * @param samples validation text as the trained model reads it
     */
    public record Trial(
            String id,
            Kind kind,
            Optional<String> parent,
            String variant,
            Map<String, String> axes,
            long seed,
            String config,
            Map<String, String> configValues,
            Plan plan,
            State state,
            Optional<String> failure,
            Map<String, String> environment,
            Map<String, List<Point>> series,
            List<DepthHistogram> depths,
            Map<String, Double> figures,
            List<TextSample> samples) {

        /** Copies the collections, in their order. */
        public Trial {
            axes = ordered(axes);
            configValues = ordered(configValues);
            environment = ordered(environment);
            Map<String, List<Point>> copies = new LinkedHashMap<>();
            series.forEach((name, points) -> copies.put(name, List.copyOf(points)));
            series = Collections.unmodifiableMap(copies);
            depths = List.copyOf(depths);
            figures = ordered(figures);
            samples = List.copyOf(samples);
        }

        /** The loss that ranks it; empty before it is done. */
        public OptionalDouble causalLoss() {
            return figure(CAUSAL_LOSS);
        }

        /** A final figure; empty if it was not measured. */
        public OptionalDouble figure(String name) {
            Double value = figures.get(name);
            return value == null ? OptionalDouble.empty() : OptionalDouble.of(value);
        }
    }

    /**
     * What a trial was planned to cost.
     *
     * @param parameters unique parameters, routers included
     * @param steps optimizer steps; 0 for an evaluation
     * @param tokens tokens trained on; 0 for an evaluation
     * @param modelFlops {@code model-flops} of the training: forward and backward
     * @param paperFlops {@code paper-flops} of the training: forward alone, as the paper counts
     * @param kvBytesPerToken bytes of keys and values per token, by formula, in 32-bit floats
     */
    public record Plan(
            long parameters, long steps, long tokens, double modelFlops, double paperFlops, double kvBytesPerToken) {}

    /**
     * A figure at a moment of training.
     *
     * @param step the optimizer step, from 0, after which it was measured
     * @param tokens trained on so far
     * @param modelFlops spent so far, forward and backward
     * @param paperFlops spent so far, forward alone
     * @param seconds of training so far, without evaluation and saving
     * @param value finite
     */
    public record Point(long step, long tokens, double modelFlops, double paperFlops, double seconds, double value) {}

    /**
     * How deep validation tokens went at a moment of training, with the causal selection.
     *
     * @param step the optimizer step, from 0
     * @param shares share of the tokens that ran exactly d recursions, for d from 0 to Nr
     */
    public record DepthHistogram(long step, List<Double> shares) {

        /** Copies the list. */
        public DepthHistogram {
            shares = List.copyOf(shares);
        }
    }

    /**
     * A piece of validation text.
     *
     * @param name what it is
     * @param tokens in order
     */
    public record TextSample(String name, List<SampleToken> tokens) {

        /** Copies the list. */
        public TextSample {
            tokens = List.copyOf(tokens);
        }
    }

    /**
     * A token as the model read it.
     *
     * @param text its text; a token that is a part of a character shows as U+FFFD
     * @param depth recursions it ran; 1 for a model without recursions
     * @param scores the router's score at recursion 1, 2, ... as far as it was asked; for a router without scores the gate of the update
     */
    public record SampleToken(String text, int depth, List<Double> scores) {

        /** Copies the list. */
        public SampleToken {
            scores = List.copyOf(scores);
        }
    }

    private static <V> Map<String, V> ordered(Map<String, V> values) {
        return Collections.unmodifiableMap(new LinkedHashMap<>(values));
    }
}
