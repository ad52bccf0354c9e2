package io.mor.runtime.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.plugin.MorPlugin;
import io.mor.runtime.UsageException;
import io.mor.runtime.plugin.PluginCatalog;
import io.mor.runtime.tape.Recomputation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExperimentConfigTest {

    @TempDir
    Path folder;

    private final PluginCatalog catalog = TestExtensions.catalog();

    @Test
    void everyKeyHasTheDefaultThatIsDocumented() {
        ExperimentConfig expected = new ExperimentConfig(
                "experiment",
                1,
                Path.of("runs"),
                new ModelSection(
                        Optional.empty(),
                        Optional.empty(),
                        new ModelConfig(
                                0,
                                128,
                                8,
                                4,
                                4,
                                352,
                                256,
                                Sharing.NONE,
                                1,
                                1,
                                true,
                                true,
                                Initialization.RANDOM,
                                0.02,
                                1e-5,
                                10000,
                                0),
                        ExtensionConfig.of("llama")),
                ExtensionConfig.of("none"),
                ExtensionConfig.of("default"),
                ExtensionConfig.of("recursion-wise"),
                ExtensionConfig.of("auto"),
                ExtensionConfig.of("byte"),
                new DataConfig(
                        List.of(),
                        List.of(),
                        0.05,
                        DataConfig.ValidationUnit.CHARACTERS,
                        "text",
                        DataConfig.Sampling.RANDOM,
                        Path.of("runs/shards")),
                new TrainingConfig(
                        1000,
                        8,
                        1,
                        0.003,
                        new ScheduleConfig(ScheduleType.TRAPEZOID, -1, 0.2, 0.1),
                        0.9,
                        0.95,
                        1e-8,
                        0.1,
                        1.0,
                        Recomputation.Kind.NONE,
                        0,
                        new EvaluationConfig(200, 20),
                        new CheckpointConfig(500, 2, List.of()),
                        new LogConfig(10)),
                new GenerationConfig(256, 0.8, 0, 1.0, 0, List.of(), List.of()),
                new MetricsConfig(List.of(ExtensionConfig.of("jsonl"), ExtensionConfig.of("tensorboard"))),
                List.of());

        assertEquals(expected, ExperimentConfig.builder().build());
        assertEquals(expected, ExperimentConfig.builder().build(catalog));
    }

    @Test
    void aSinkOfTheDefaultThatNoPluginBringsIsLeftOutButNotOneThatIsNamed() {
        MorPlugin few = () -> new TestExtensions()
                .extensions().stream()
                        .filter(extension -> !extension.id().equals("tensorboard"))
                        .toList();
        try (PluginCatalog without = PluginCatalog.of(few)) {
            assertEquals(
                    List.of(ExtensionConfig.of("jsonl")),
                    ExperimentConfig.builder().build(without).metrics().sinks());
            assertEquals(
                    List.of(ExtensionConfig.of("jsonl")),
                    ExperimentConfig.builder()
                            .build()
                            .resolve(without)
                            .metrics()
                            .sinks());
            for (String named : List.of("[jsonl, tensorboard]", "[tensorboard]")) {
                String message = assertThrows(
                                UsageException.class,
                                () -> ExperimentConfig.builder()
                                        .yaml("metrics: {sinks: " + named + "}")
                                        .build(without))
                        .getMessage();
                assertTrue(message.contains("no metric-sink 'tensorboard'; there are jsonl"), message);
            }
        }
    }

    /** Every key with a value that is not its default. */
    static final String EVERYTHING = """
        name: all
        seed: 12345678901
        runs: out/runs
        model:
          start-from: out/base
          vocabulary: 300
          hidden: 96
          layers: 11
          heads: 6
          kv-heads: 2
          ffn: 200
          context: 64
          sharing: middle-cycle
          recursions: 3
          tied: false
          ln-share: false
          initialization: stepwise
          initializer-range: 0.05
          norm-epsilon: 1e-6
          rope-theta: 5e5
          dropout: 0.1
          block: llama
        router:
          type: expert-choice
          alpha: 0.25
          function: tanh-like
          capacity: [1, 0.5, 0.25]
          auxiliary-loss: {coefficient: 0.016, enabled: true}
          note: "1"
          weights: {first: 1, second: 2}
        selector: {type: ema-cutoff, decay: 0.9}
        kv-cache: {type: hybrid}
        backend: auto
        tokenizer: byte
        data:
          paths: [a.txt, "corpus.jar!/**/*.java"]
          validation-paths: [b.txt]
          validation-fraction: 0.1
          json-field: body
          validation-unit: tokens
          sampling: sequential
          shards: out/shards
        training:
          steps: 50
          batch: 3
          accumulation: 2
          learning-rate: 1e-4
          schedule: {type: cosine, warmup-steps: 5, decay-fraction: 0.3, minimum-factor: 0.2}
          beta1: 0.8
          beta2: 0.99
          epsilon: 1e-10
          weight-decay: 0
          clip-norm: 0.5
          recompute: norms-and-gates
          recompute-layers: 5
          evaluation: {every: 7, batches: 3}
          checkpoint: {every: 9, keep: 5, at: [0.8]}
          log: {every: 2}
        generation:
          max-tokens: 9
          temperature: 0
          top-k: 40
          top-p: 0.9
          seed: 7
          stop-tokens: [0, 2]
          stop-texts: ["\\n\\n", "END"]
        metrics:
          sinks: [jsonl]
        plugins: [plugins]
        """;

    private static ExperimentConfig everything(Map<String, Object> router, Map<String, Object> selector) {
        return new ExperimentConfig(
                "all",
                12345678901L,
                Path.of("out/runs"),
                new ModelSection(
                        Optional.empty(),
                        Optional.of(Path.of("out/base")),
                        new ModelConfig(
                                300,
                                96,
                                11,
                                6,
                                2,
                                200,
                                64,
                                Sharing.MIDDLE_CYCLE,
                                3,
                                1,
                                false,
                                false,
                                Initialization.STEPWISE,
                                0.05,
                                1e-6,
                                500000,
                                0.1),
                        ExtensionConfig.of("llama")),
                new ExtensionConfig("expert-choice", router),
                new ExtensionConfig("ema-cutoff", selector),
                ExtensionConfig.of("hybrid"),
                ExtensionConfig.of("auto"),
                ExtensionConfig.of("byte"),
                new DataConfig(
                        List.of("a.txt", "corpus.jar!/**/*.java"),
                        List.of("b.txt"),
                        0.1,
                        DataConfig.ValidationUnit.TOKENS,
                        "body",
                        DataConfig.Sampling.SEQUENTIAL,
                        Path.of("out/shards")),
                new TrainingConfig(
                        50,
                        3,
                        2,
                        1e-4,
                        new ScheduleConfig(ScheduleType.COSINE, 5, 0.3, 0.2),
                        0.8,
                        0.99,
                        1e-10,
                        0,
                        0.5,
                        Recomputation.Kind.NORMS_AND_GATES,
                        5,
                        new EvaluationConfig(7, 3),
                        new CheckpointConfig(9, 5, List.of(0.8)),
                        new LogConfig(2)),
                new GenerationConfig(9, 0, 40, 0.9, 7, List.of(0, 2), List.of("\n\n", "END")),
                new MetricsConfig(List.of(ExtensionConfig.of("jsonl"))),
                List.of(Path.of("plugins")));
    }

    @Test
    void recomputeLayersWithoutRecomputeSayThatTheyHaveNoEffect() {
        TrainingConfig without = ExperimentConfig.builder()
                .with("training.recompute-layers", 24)
                .build()
                .training();
        assertEquals(
                Optional.of(
                        "training.recompute-layers: 24 has no effect, because training.recompute is none; set that to norms-and-gates or layers"),
                without.warning());
        assertEquals(
                Optional.empty(),
                ExperimentConfig.builder()
                        .with("training.recompute", "layers")
                        .with("training.recompute-layers", 24)
                        .build()
                        .training()
                        .warning());
    }

    @Test
    void everyKeyIsReadIntoItsComponent() {
        Map<String, Object> router = Map.of(
                "alpha",
                0.25,
                "function",
                "tanh-like",
                "capacity",
                List.of(1.0, 0.5, 0.25),
                "auxiliary-loss",
                Map.of("coefficient", 0.016, "enabled", true),
                "note",
                "1",
                "weights",
                Map.of("first", 1, "second", 2));
        assertEquals(
                everything(router, Map.of("decay", 0.9)),
                ExperimentConfig.builder().yaml(EVERYTHING).build(catalog));
    }

    @Test
    void theDumpLoadsBackEqualAndIsStable() {
        for (ExperimentConfig config : List.of(
                ExperimentConfig.builder().build(catalog),
                ExperimentConfig.builder().yaml(EVERYTHING).build(catalog),
                ExperimentConfig.builder()
                        .with("model.rope-theta", 1e300)
                        .with("training.learning-rate", 1e-300)
                        .with("name", "true")
                        .build(catalog))) {
            ExperimentConfig loaded =
                    ExperimentConfig.builder().yaml(config.toYaml()).build(catalog);
            assertEquals(config, loaded);
            assertEquals(config.toYaml(), loaded.toYaml());
        }
    }

    @Test
    void resolvingFillsInTheDefaultsOfExtensions() {
        ExperimentConfig config = ExperimentConfig.builder()
                .with("router", "expert-choice")
                .with("model.sharing", Sharing.CYCLE)
                .with("model.recursions", 2)
                .build(catalog);

        assertEquals(0.1, config.router().options().get("alpha"));
        assertEquals(
                Map.of("coefficient", 0.001, "enabled", false),
                config.router().options().get("auxiliary-loss"));
        assertEquals(new ExtensionConfig("ema-cutoff", Map.of("decay", 0.99)), config.selector());
    }

    @Test
    void laterLayersWin() throws IOException {
        Files.writeString(
                folder.resolve("base.yaml"),
                "training: {steps: 10, batch: 4}\n"
                        + "router: {type: expert-choice, alpha: 0.2}\n"
                        + "model: {preset: smollm-360m}\n");
        Path child = Files.writeString(
                folder.resolve("child.yaml"),
                "extends: base.yaml\ntraining: {steps: 20}\nmodel: {sharing: middle-cycle, recursions: 3}\n");

        ExperimentConfig config = ExperimentConfig.builder()
                .file(child)
                .override("training.batch=5")
                .override("router.alpha=0.3")
                .build();

        assertEquals(20, config.training().steps());
        assertEquals(5, config.training().batch());
        assertEquals(0.3, config.router().options().get("alpha"));
        assertEquals(960, config.model().shape().hidden());
        assertEquals(3, config.model().shape().recursions());
    }

    @Test
    void anotherTypeOfExtensionDropsTheOptionsOfTheOneBefore() {
        ConfigBuilder base = ExperimentConfig.builder()
                .yaml("router: {type: expert-choice, alpha: 0.2}\n"
                        + "model: {sharing: cycle, recursions: 2}\n"
                        + "training: {schedule: {warmup-steps: 3}}");

        assertEquals(
                ExtensionConfig.of("token-choice"),
                base.override("router.type=token-choice").build(catalog).router());
        assertEquals(
                ExtensionConfig.of("token-choice"),
                base.override("router=token-choice").build(catalog).router());
        assertEquals(
                ExtensionConfig.of("token-choice"),
                base.yaml("router: token-choice").build(catalog).router());
        assertEquals(
                Map.of("alpha", 0.2),
                base.yaml("router: {type: expert-choice}").build().router().options());
        assertEquals(
                3,
                base.override("training.schedule.type=cosine")
                        .build()
                        .training()
                        .schedule()
                        .warmupSteps());
    }

    @Test
    void overridesReachListElements() {
        ExperimentConfig config = ExperimentConfig.builder()
                .yaml("data: {paths: [a, b]}")
                .override("data.paths[1]=c")
                .override("data.paths.2=d")
                .override("metrics.sinks=[]")
                .build();

        assertEquals(List.of("a", "c", "d"), config.data().paths());
        assertEquals(List.of(), config.metrics().sinks());
    }

    @Test
    void presetsAreTheShapesOfThePaper() {
        record Expected(String name, int layers, int hidden, int heads, int kvHeads, int ffn) {}
        for (Expected expected : List.of(
                new Expected("smollm-135m", 30, 576, 9, 3, 1536),
                new Expected("smollm-360m", 32, 960, 15, 5, 2560),
                new Expected("smollm-730m", 26, 1536, 24, 8, 4096),
                new Expected("smollm-1.7b", 24, 2048, 32, 32, 8192))) {
            ModelConfig model = ExperimentConfig.builder()
                    .with("model.preset", expected.name())
                    .build()
                    .model()
                    .shape();
            assertEquals(
                    expected,
                    new Expected(
                            expected.name(),
                            model.layers(),
                            model.hidden(),
                            model.heads(),
                            model.kvHeads(),
                            model.ffn()));
            assertEquals(49152, model.vocabulary());
            assertEquals(2048, model.context());
        }
        for (String name : ModelPresets.names()) {
            ExperimentConfig config =
                    ExperimentConfig.builder().with("model.preset", name).build(catalog);
            assertEquals(Optional.empty(), config.model().preset());
            assertEquals(List.of(), config.warnings());
        }
    }

    @Test
    void layersThatDoNotDivideAreAWarningThatSaysWhatThePaperDoes() {
        ExperimentConfig config = ExperimentConfig.builder()
                .yaml("model: {preset: smollm-360m, sharing: middle-cycle, recursions: 4}")
                .build();

        assertEquals(1, config.warnings().size());
        assertTrue(
                config.warnings().getFirst().contains("30 effective layers"),
                config.warnings().getFirst());
        assertTrue(
                config.warnings().getFirst().contains("set model.layers to 34"),
                config.warnings().getFirst());
    }

    @Test
    void flatNamesEveryValueByItsPath() {
        Map<String, String> flat =
                ExperimentConfig.builder().yaml(EVERYTHING).build(catalog).flat();

        assertEquals("0.016", flat.get("router.auxiliary-loss.coefficient"));
        assertEquals("jsonl", flat.get("metrics.sinks[0].type"));
        assertEquals("0.5", flat.get("router.capacity[1]"));
    }

    @Test
    void pluginFoldersAreKnownBeforeTheRestIsRight() {
        assertEquals(
                List.of(Path.of("x"), Path.of("y")),
                ExperimentConfig.builder().yaml("plugins: [x, y]\nnonsense: 1").pluginFolders());
        assertEquals(List.of(), ExperimentConfig.builder().pluginFolders());
    }

    @Test
    void aChainOfFilesThatExtendEachOtherIsRefused() throws IOException {
        Path a = Files.writeString(folder.resolve("a.yaml"), "extends: b.yaml");
        Files.writeString(folder.resolve("b.yaml"), "extends: a.yaml");

        assertTrue(assertThrows(UsageException.class, () -> ExperimentConfig.load(a))
                .getMessage()
                .contains("extends itself"));
    }
}
