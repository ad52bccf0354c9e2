package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.plugin.ExtensionKind;
import io.mor.cli.MorProcess.Result;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.evaluate.EvaluationReport;
import io.mor.runtime.experiment.Mor;
import io.mor.runtime.experiment.RunListener;
import io.mor.runtime.experiment.TrainedModel;
import io.mor.runtime.experiment.TrainingRun;
import java.io.IOException;
import java.lang.ref.WeakReference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.spi.ToolProvider;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a stranger does: writes a router outside the project, compiles it with mor-api alone, drops it into a folder with a library and trains with it
 * by name. Two versions of the plugin, which need two versions of the library, stand side by side.
 */
class OutsiderPluginIT {

    private static final int EXPERIMENTS =
            System.getProperty("mor.test.profile", "quick").equals("full") ? 100 : 20;

    @TempDir
    Path folder;

    private Path plugins;
    private Path text;

    @BeforeEach
    void buildBothVersions() throws IOException {
        plugins = Files.createDirectory(folder.resolve("plugins"));
        text = Files.writeString(
                folder.resolve("text.txt"),
                IntStream.range(0, 300)
                        .mapToObj(i -> "line " + i * 7919 % 1013 + "\n")
                        .collect(Collectors.joining()));
        build(1, 2);
        build(2, 4);
    }

    /** A plugin with the router {@code every-VERSION}, which takes further the positions divisible by what its library says. */
    private void build(int version, int stride) throws IOException {
        Path place = Files.createDirectory(plugins.resolve("acme-" + version));
        Path library = jar(
                place.resolve("stride.jar"),
                "1." + version,
                List.of(),
                Map.of(
                        "module-info.java",
                        "module acme.stride { exports acme.stride; }",
                        "acme/stride/Stride.java",
                        "package acme.stride; public final class Stride { public static int value() { return " + stride
                                + "; } }"));
        jar(
                place.resolve("router.jar"),
                version + ".0",
                List.of(library, api("mor-api-"), api("jakarta.inject-api-")),
                Map.of(
                        "module-info.java",
                        """
                        module acme.router {
                          requires io.mor.api;
                          requires acme.stride;
                          exports acme.router;
                          provides io.mor.api.plugin.MorPlugin with acme.router.Plugin;
                        }
                        """,
                        "META-INF/services/io.mor.api.plugin.MorPlugin",
                        "acme.router.Plugin",
                        "acme/router/Plugin.java",
                        """
                        package acme.router;
                        import io.mor.api.plugin.*;
                        import java.util.List;
                        public final class Plugin implements MorPlugin {
                          @Override public List<Extension> extensions() {
                            return List.of(new Extension(ExtensionKind.ROUTER, "every-%d", Every.class, Every.Config.class, "takes every n-th position further"));
                          }
                        }
                        """.formatted(version),
                        "acme/router/Every.java",
                        """
                        package acme.router;
                        import io.mor.api.model.ModelShape;
                        import io.mor.api.plugin.*;
                        import io.mor.api.routing.*;
                        import io.mor.api.tensor.*;
                        import jakarta.inject.Inject;
                        import java.util.Optional;
                        import java.util.stream.IntStream;
                        public final class Every implements Router {
                          public record Config(@Help("factor of the update") @DefaultValue("1") @Range(min = 0, max = 2) double weight) {}
                          private final int[] further;
                          private final double weight;
                          @Inject public Every(Config config, ModelShape shape) {
                            int stride = acme.stride.Stride.value();
                            further = IntStream.range(0, shape.context()).map(position -> position % stride == 0 ? 1 : 0).toArray();
                            weight = config.weight();
                          }
                          @Override public Routing route(RouterContext context, TokenBatch batch, Tensor rows, RoutingState state) {
                            Ops ops = context.ops();
                            Tensor gate = ops.constant(batch.extent(), 1, weight);
                            if (batch.isUniform() && batch.segments().getFirst().recursion() == 1) {
                              return new Routing(Optional.empty(), state, Optional.of(gate));
                            }
                            Tensor chosen = ops.toColumn(ops.gatherInts(ops.ints(further), batch.position(), batch.extent()), batch.extent());
                            Tensor first = ops.affine(ops.toColumn(batch.recursion(), batch.extent()), -1, 2); // positive at recursion 1
                            Tensor mask = ops.compare(ops.add(chosen, ops.compare(first, Comparison.GREATER, 0)), Comparison.GREATER, 0);
                            return new Routing(Optional.of(ops.compact(mask, Optional.empty())), state, Optional.of(gate));
                          }
                        }
                        """));
    }

    private static Path api(String name) throws IOException {
        try (Stream<Path> jars = Files.list(MorProcess.root().resolve("mor-cli/target/mor/lib"))) {
            return jars.filter(jar -> jar.getFileName().toString().startsWith(name))
                    .findFirst()
                    .orElseThrow();
        }
    }

    /** Compiles and packs with the tools of the JDK, as a build would. */
    private Path jar(Path jar, String version, List<Path> modulePath, Map<String, String> sources) throws IOException {
        Path work = Files.createTempDirectory(folder, "build");
        List<String> arguments =
                new ArrayList<>(List.of("-d", work.resolve("classes").toString()));
        if (!modulePath.isEmpty()) {
            arguments.add("--module-path");
            arguments.add(modulePath.stream()
                    .map(Path::toString)
                    .collect(Collectors.joining(System.getProperty("path.separator"))));
        }
        for (Map.Entry<String, String> source : new TreeMap<>(sources).entrySet()) {
            boolean isSource = source.getKey().endsWith(".java");
            Path file = work.resolve(isSource ? "src" : "classes").resolve(source.getKey());
            Files.createDirectories(file.getParent());
            Files.writeString(file, source.getValue());
            if (isSource) {
                arguments.add(file.toString());
            }
        }
        run("javac", arguments);
        run(
                "jar",
                List.of(
                        "--create",
                        "--file",
                        jar.toString(),
                        "--module-version",
                        version,
                        "-C",
                        work.resolve("classes").toString(),
                        "."));
        return jar;
    }

    private static void run(String tool, List<String> arguments) {
        int code = ToolProvider.findFirst(tool)
                .orElseThrow()
                .run(System.out, System.err, arguments.toArray(String[]::new));
        assertEquals(0, code, () -> tool + " " + arguments);
    }

    private ExperimentConfig config(String name, int version) throws IOException {
        return ExperimentConfig.load(configFile(name, version));
    }

    private Path configFile(String name, int version) throws IOException {
        return Files.writeString(folder.resolve(name + ".yaml"), """
                name: %s
                runs: '%s'
                model: {hidden: 16, layers: 3, heads: 2, kv-heads: 1, ffn: 24, context: 16, sharing: cycle, recursions: 3}
                router: {type: every-%d, weight: 0.5}
                backend: {type: cpu, threads: 1}
                data: {paths: ['%s'], shards: '%s'}
                training: {steps: 2, batch: 2, checkpoint: {every: 0, keep: 1}, evaluation: {every: 0, batches: 1}}
                metrics: {sinks: [{type: jsonl}]}
                """.formatted(
                        name, folder.resolve("runs"), version, text, folder.resolve("shards")));
    }

    /** Every second position runs 3 recursions and the others 1; every fourth. */
    private static double meanDepth(int version) {
        return version == 1 ? 2 : 1.5;
    }

    private static double meanDepth(Mor mor, Path run) {
        try (TrainedModel model = mor.load(run, config -> config, note -> {})) {
            EvaluationReport report = model.evaluate(1, false, note -> {});
            return report.figures().get("validation-mean-depth");
        }
    }

    @Test
    void theCommandTrainsAndGoesOnWithAPluginOfAFolder() throws Exception {
        Path jar = plugins.resolve("acme-1").resolve("router.jar");
        Result listed = MorProcess.run(folder, "plugins", "--plugins", plugins.toString());
        assertEquals(0, listed.code(), listed::err);
        assertTrue(listed.out().contains("every-1  takes every n-th position further"), listed::out);
        assertTrue(listed.out().contains("acme.router 1.0 (" + jar + ")"), listed::out);

        Result shown = MorProcess.run(folder, "plugins", "show", "every-1", "--plugins", plugins.toString());
        assertEquals(0, shown.code(), shown::err);
        for (String part : List.of(
                "router 'every-1': takes every n-th position further",
                "module   acme.router",
                "version  1.0",
                "jar      " + jar,
                "weight  = 1  number, at least 0 and at most 2  factor of the update",
                "router: {type: every-1, weight: 1}")) {
            assertTrue(shown.out().contains(part), () -> "'" + part + "' in:\n" + shown.out());
        }

        String config = configFile("outside", 1).toString();
        Result trained = MorProcess.run(folder, "train", config, "--plugins", plugins.toString());
        assertEquals(0, trained.code(), trained::err);
        String run = folder.resolve("runs/outside").toString();
        Result more = MorProcess.run(
                folder, "train", "--resume", run, "-s", "training.steps=4", "--plugins", plugins.toString());
        assertEquals(0, more.code(), more::err);
        Result generated = MorProcess.run(
                folder,
                "generate",
                run,
                "--prompt",
                "line",
                "--max-tokens",
                "4",
                "--print-ids",
                "--plugins",
                plugins.toString());
        assertEquals(0, generated.code(), generated::err);

        Result without = MorProcess.run(folder, "train", config, "-s", "name=without");
        assertEquals(2, without.code());
        assertTrue(without.err().contains("no router 'every-1'"), without::err);
        assertTrue(without.err().contains("expert-choice"), without::err);
        assertTrue(without.err().contains("looked in the module path"), without::err);
    }

    @Test
    void twoVersionsWithTwoVersionsOfALibraryTrainSideBySide() throws Exception {
        try (Mor mor = Mor.open(List.of(plugins))) {
            assertEquals(
                    List.of(
                            plugins.resolve("acme-1/router.jar").toString(),
                            plugins.resolve("acme-2/router.jar").toString()),
                    mor.catalog().extensions(ExtensionKind.ROUTER).stream()
                            .filter(found -> found.extension().id().startsWith("every-"))
                            .map(found -> found.source().location())
                            .toList());
            try (TrainingRun first = mor.train(config("first", 1), RunListener.NONE);
                    TrainingRun second = mor.train(config("second", 2), RunListener.NONE)) {
                assertEquals(
                        "acme.router.Every", first.model().router().getClass().getName());
                assertEquals(
                        "acme.router.Every", second.model().router().getClass().getName());
                assertTrue(
                        first.model().router().getClass()
                                != second.model().router().getClass(),
                        "both from one loader");
                first.run(() -> false);
                second.run(() -> false);
            }
            assertEquals(meanDepth(1), meanDepth(mor, folder.resolve("runs/first")), 1e-6);
            assertEquals(meanDepth(2), meanDepth(mor, folder.resolve("runs/second")), 1e-6);
        }
    }

    @Test
    void noClassLoaderIsLeftAfterManyExperiments() throws Exception {
        List<WeakReference<ClassLoader>> loaders = new ArrayList<>();
        for (int experiment = 0; experiment < EXPERIMENTS; experiment++) {
            ExperimentConfig config =
                    config("experiment-" + experiment, 1 + experiment % 2).with("training.steps", 1);
            try (Mor mor = Mor.open(List.of(plugins));
                    TrainingRun run = mor.train(config, RunListener.NONE)) {
                run.run(() -> false);
                loaders.add(new WeakReference<>(run.model().router().getClass().getClassLoader()));
            }
        }
        for (int attempt = 0; attempt < 50 && left(loaders) > 0; attempt++) {
            System.gc();
            Thread.sleep(20);
        }
        assertEquals(EXPERIMENTS, loaders.size());
        assertEquals(0, left(loaders), "class loaders of closed experiments that can still be reached");
    }

    private static long left(List<WeakReference<ClassLoader>> loaders) {
        return loaders.stream().filter(loader -> !loader.refersTo(null)).count();
    }
}
