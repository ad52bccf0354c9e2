package io.mor.report;

import io.mor.study.StudyResults;
import io.mor.study.StudyResults.DepthHistogram;
import io.mor.study.StudyResults.Kind;
import io.mor.study.StudyResults.Plan;
import io.mor.study.StudyResults.Point;
import io.mor.study.StudyResults.SampleToken;
import io.mor.study.StudyResults.State;
import io.mor.study.StudyResults.Study;
import io.mor.study.StudyResults.TextSample;
import io.mor.study.StudyResults.Trial;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** A study of invented figures with everything in it that a real one has. The same arguments give the same study. */
final class SampleStudy {

    /** A text that would end a script, begin an element and run a program, were it not escaped. */
    static final String HOSTILE =
            "</script><script>window.hacked=1</script><img src=x onerror=\"window.hacked=2\"><!-- & ' \" \u2028";

    private static final Instant BEGUN = Instant.parse("2026-01-02T03:04:05Z");
    private static final int STEPS = 1200;
    private static final int EVALUATIONS = 12;
    private static final long TOKENS_PER_STEP = 768;

    private final Random random = new Random(7);
    private final List<String> routers;
    private final List<String> caches;
    private final List<Integer> recursions;
    private final int seeds;

    private SampleStudy(List<String> routers, List<String> caches, List<Integer> recursions, int seeds) {
        this.routers = routers;
        this.caches = caches;
        this.recursions = recursions;
        this.seeds = seeds;
    }

    /** Eight variants of three seeds; one trial failed, one has not begun, and texts in it are hostile. */
    static StudyResults small() {
        return new SampleStudy(
                        List.of("expert-choice", "token-choice"), List.of("recursion-wise", "shared"), List.of(2, 3), 3)
                .results();
    }

    /** Forty variants of five seeds. */
    static StudyResults large() {
        return new SampleStudy(
                        List.of("expert-choice", "token-choice", "random", "fixed-depth"),
                        List.of("recursion-wise", "shared"),
                        List.of(2, 3, 4, 5, 6),
                        5)
                .results();
    }

    /** The same study with other trials. */
    static StudyResults with(StudyResults results, List<Trial> trials) {
        return new StudyResults(results.study(), trials);
    }

    /** A trial that measures the model of another under other settings. */
    static Trial evaluationOf(Trial trained, String variant) {
        Map<String, Double> figures = new LinkedHashMap<>(trained.figures());
        figures.merge(StudyResults.CAUSAL_LOSS, 0.05, Double::sum);
        return new Trial(
                trained.id() + "-" + variant,
                Kind.EVALUATION,
                Optional.of(trained.id()),
                variant,
                Map.of("selector", variant),
                trained.seed(),
                trained.config(),
                trained.configValues(),
                new Plan(trained.plan().parameters(), 0, 0, 0, 0, 3000),
                State.DONE,
                Optional.empty(),
                trained.environment(),
                Map.of(),
                List.of(),
                figures,
                trained.samples());
    }

    private StudyResults results() {
        List<Trial> trials = new ArrayList<>();
        for (String router : routers) {
            for (String cache : caches) {
                for (int depth : recursions) {
                    double loss = 1.6 + 0.02 * routers.indexOf(router) + 0.012 * caches.indexOf(cache) + 0.001 * depth;
                    for (int seed = 1; seed <= seeds; seed++) {
                        trials.add(trial(router, cache, depth, seed, loss, state(router, cache, depth, seed)));
                    }
                }
            }
        }
        Study study = new Study(
                "router × cache × Nr " + HOSTILE,
                "study: sample\ndescription: Figures that were made up.\n# " + HOSTILE + "\n",
                BEGUN,
                BEGUN.plusSeconds(7200),
                "0.1.0");
        return new StudyResults(study, trials);
    }

    private State state(String router, String cache, int depth, int seed) {
        if (!router.equals(routers.getLast()) || !cache.equals(caches.getLast()) || depth != recursions.getLast()) {
            return State.DONE;
        }
        return switch (seed) {
            case 2 -> State.FAILED;
            case 3 -> State.PENDING;
            default -> State.DONE;
        };
    }

    private Trial trial(String router, String cache, int recursions, int seed, double level, State state) {
        boolean done = state == State.DONE;
        double flops = 2.0e9 * (1 + 0.1 * recursions);
        double loss = level + 0.003 * random.nextGaussian();
        Map<String, String> axes = new LinkedHashMap<>();
        axes.put("router.type", router);
        axes.put("kv-cache.type", cache);
        axes.put("model.recursions", Integer.toString(recursions));
        Map<String, String> config = new LinkedHashMap<>();
        config.put("name", router + "-" + cache + "-" + recursions + "-" + seed);
        config.put("seed", Integer.toString(seed));
        config.put("model.hidden", "128");
        config.putAll(axes);
        config.put("data.paths", "[" + HOSTILE + "]");
        return new Trial(
                router.charAt(0) + "" + cache.charAt(0) + recursions + "-" + seed,
                Kind.TRAINING,
                Optional.empty(),
                router + " · " + cache + " · Nr " + recursions,
                axes,
                seed,
                "seed: " + seed + "\n",
                config,
                new Plan(611_584 + recursions, STEPS, STEPS * TOKENS_PER_STEP, flops * STEPS, flops * STEPS / 3, 3000),
                state,
                state == State.FAILED ? Optional.of("loss is not finite at step 412 " + HOSTILE) : Optional.empty(),
                done ? environment(seed) : Map.of(),
                done ? series(loss, flops, recursions) : Map.of(),
                done ? depths(recursions) : List.of(),
                done ? figures(loss, cache, recursions) : Map.of(),
                done ? List.of(text(recursions)) : List.of());
    }

    private static Map<String, String> environment(int seed) {
        Map<String, String> environment = new LinkedHashMap<>();
        environment.put("mor", "0.1.0");
        environment.put("java", "25.0.3 (Temurin)");
        environment.put("cpu", seed == 1 ? "AMD EPYC, 2 cores" : "Intel Xeon, 4 cores");
        environment.put("plugin expert-choice", "0.1.0");
        return environment;
    }

    private Map<String, List<Point>> series(double loss, double flops, int recursions) {
        Map<String, List<Point>> series = new LinkedHashMap<>();
        series.put(
                "cross-entropy",
                IntStream.range(0, STEPS / 2)
                        .mapToObj(i -> point(2 * i + 1, loss, flops, recursions, 0.02))
                        .toList());
        series.put(
                StudyResults.CAUSAL_LOSS,
                IntStream.rangeClosed(1, EVALUATIONS)
                        .mapToObj(i -> point(i * STEPS / EVALUATIONS - 1, loss, flops, recursions, 0))
                        .toList());
        return series;
    }

    private Point point(int step, double loss, double flops, int recursions, double noise) {
        double value =
                loss + 2.4 * Math.exp(-step / 120.0) + 0.3 * Math.exp(-step / 400.0) - 0.3 * Math.exp(-STEPS / 400.0);
        return new Point(
                step,
                (step + 1) * TOKENS_PER_STEP,
                (step + 1) * flops,
                (step + 1) * flops / 3,
                (step + 1) * 0.1 * (1 + 0.05 * recursions),
                value + noise * random.nextGaussian());
    }

    private static List<DepthHistogram> depths(int recursions) {
        return IntStream.rangeClosed(1, EVALUATIONS)
                .mapToObj(i -> {
                    List<Double> shares = new ArrayList<>(List.of(0.0));
                    double first = 0.1 + 0.02 * i;
                    shares.add(first);
                    for (int depth = 2; depth <= recursions; depth++) {
                        shares.add((1 - first) / (recursions - 1));
                    }
                    return new DepthHistogram(i * STEPS / EVALUATIONS - 1, shares);
                })
                .toList();
    }

    private Map<String, Double> figures(double loss, String cache, int recursions) {
        Map<String, Double> figures = new LinkedHashMap<>();
        figures.put(StudyResults.CAUSAL_LOSS, loss);
        figures.put(StudyResults.FULL_SEQUENCE_LOSS, loss - 0.001);
        figures.put("validation-perplexity", Math.exp(loss));
        figures.put("validation-bits-per-byte", loss / Math.log(2));
        figures.put("validation-mean-depth", (recursions + 1) / 2.0);
        figures.put(StudyResults.PARAMETERS, 611_584.0 + recursions);
        figures.put(StudyResults.KV_BYTES_PER_TOKEN, cache.equals("shared") ? 1365.0 : 1024.0 * recursions);
        figures.put(StudyResults.DECODING_RATE, 5000 - 300.0 * recursions + random.nextInt(100));
        return figures;
    }

    private TextSample text(int recursions) {
        List<String> pieces = Stream.of(
                        "ROMEO", ":", "\n", "But", " soft", ",", " what", " light", "\t", HOSTILE, " the", " sun", "\n",
                        "\n", "\uFFFD", " moon", "!")
                .toList();
        List<SampleToken> tokens = new ArrayList<>();
        for (int round = 0; round < 6; round++) {
            for (String piece : pieces) {
                int depth = 1 + (tokens.size() % recursions);
                List<Double> scores = new ArrayList<>();
                for (int r = 1; r <= Math.min(recursions, depth + 1); r++) {
                    scores.add(r <= depth ? 0.5 + random.nextInt(5000) / 1e4 : random.nextInt(5000) / 1e4);
                }
                tokens.add(new SampleToken(piece, depth, scores));
            }
        }
        return new TextSample("validation text", tokens);
    }
}
