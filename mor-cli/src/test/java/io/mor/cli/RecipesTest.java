package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.cli.StudyFixture.Said;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.plugin.PluginCatalog;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** The table of recipes in docs/configure.md: each is a config that is valid, or a command that works. */
class RecipesTest {

    private static final Path PAGE = MorProcess.root().resolve("docs/configure.md");
    private static final String RECURSIVE = "model: {sharing: middle-cycle, recursions: 3}\n";
    private static final String UPTRAINED = "sharing: middle-cycle, recursions: 3}\n";
    private static final String COMMAND = "a run that goes on from any checkpoint under another name";

    @TempDir
    private Path folder;

    /** What the table says, as whole configs. */
    private static Map<String, List<String>> configs() {
        Map<String, List<String>> configs = new LinkedHashMap<>();
        configs.put("a vanilla model", List.of(""));
        configs.put(
                "a recursive model",
                List.of(
                        RECURSIVE,
                        "model: {sharing: cycle, recursions: 2}",
                        "model: {sharing: sequence, recursions: 2}",
                        "model: {sharing: middle-sequence, recursions: 3}"));
        configs.put("MoR, expert-choice", List.of(RECURSIVE + "router: {type: expert-choice}"));
        configs.put("MoR, token-choice", List.of(RECURSIVE + "router: {type: token-choice}"));
        configs.put(
                "sharing of keys and values",
                List.of(
                        RECURSIVE + "router: {type: token-choice}\nkv-cache: {type: shared}",
                        RECURSIVE + "router: {type: expert-choice}\nkv-cache: {type: hybrid}"));
        configs.put(
                "the same in a model without recursions (spec 4.4)",
                List.of("model: {kv-sharing-groups: 2}\nkv-cache: {type: shared}"));
        configs.put(
                "a published shape",
                List.of(
                        "model: {preset: smollm-135m}",
                        "model: {preset: smollm-360m}",
                        "model: {preset: smollm-730m}",
                        "model: {preset: smollm-1.7b}"));
        String routed = RECURSIVE + "router: {type: expert-choice}\n";
        configs.put(
                "another causal rule at generation",
                List.of(
                        routed + "selector: {type: logit-threshold}",
                        routed + "selector: {type: ema-cutoff}",
                        RECURSIVE
                                + "router: {type: expert-choice, sampling: aux-router}\nselector: {type: auxiliary-router}",
                        routed + "selector: {type: fixed-depth, depth: 2}",
                        routed + "selector: {type: random}"));
        configs.put(
                "a recursive or MoR model from a trained full one (uptraining, spec 1.4)",
                List.of(
                        "model: {start-from: runs/full, initialization: stepwise, " + UPTRAINED,
                        "model: {start-from: runs/full, initialization: lower, " + UPTRAINED,
                        "model: {start-from: runs/full, initialization: upper, " + UPTRAINED,
                        "model: {start-from: runs/full, initialization: average, " + UPTRAINED,
                        "model: {start-from: runs/full, initialization: random, " + UPTRAINED));
        configs.put(
                "what differs between recursions (spec 1.5)",
                List.of(
                        "model: {block: {relaxation: {adapter: lora, rank: 64, alpha: 64}}, " + UPTRAINED,
                        "model: {block: {relaxation: {adapter: dora}}, " + UPTRAINED,
                        "model: {block: {relaxation: {prefix: 256}}, " + UPTRAINED,
                        "model: {block: {relaxation: {encoding: true}}, " + UPTRAINED,
                        "model: {start-from: runs/full, initialization: average, block: {relaxation: {adapter: lora, start: svd}}, "
                                + UPTRAINED));
        configs.put("a checkpoint at 80 % of the steps that stays", List.of("training: {checkpoint: {at: [0.8]}}"));
        configs.put("the paper's data order", List.of("data: {sampling: sequential}"));
        configs.put(
                "the released weight of the auxiliary loss",
                List.of(RECURSIVE + "router: {type: expert-choice, coefficient-normalization: as-released}"));
        return configs;
    }

    /** What to get, and what to set. */
    private static Map<String, String> table() throws IOException {
        Map<String, String> rows = new LinkedHashMap<>();
        Matcher row = Pattern.compile("(?m)^\\| (.+?) \\| (.+?) \\|$")
                .matcher(Files.readString(PAGE).replaceFirst("(?s).*## Recipes", ""));
        while (row.find()) {
            rows.put(row.group(1), row.group(2));
        }
        rows.remove("to get");
        return rows;
    }

    private static List<String> codes(String text) {
        return Pattern.compile("`([^`]+)`")
                .matcher(text)
                .results()
                .map(found -> found.group(1))
                .toList();
    }

    @Test
    void eachRecipeIsAValidConfig() throws IOException {
        Map<String, String> table = table();
        Map<String, List<String>> configs = configs();
        List<String> titles = new ArrayList<>(configs.keySet());
        titles.add(COMMAND);
        assertEquals(
                titles.stream().sorted().toList(),
                table.keySet().stream().sorted().toList(),
                "rows of the table, and what is tested of it");
        List<Executable> checks = new ArrayList<>();
        try (PluginCatalog catalog = PluginCatalog.discover()) {
            configs.forEach((title, yamls) -> {
                String all = String.join("\n", yamls);
                codes(table.get(title))
                        .forEach(code -> checks.add(() -> assertTrue(
                                all.contains(
                                        code.endsWith("}") && !all.contains(code) ? code.replaceFirst("}$", "") : code),
                                title + ": '" + code + "' is not among what is tested:\n" + all)));
                yamls.forEach(yaml ->
                        checks.add(() -> ExperimentConfig.builder().yaml(yaml).build(catalog)));
            });
            assertAll(checks);
        }
        assertTrue(checks.size() > 50, checks.size() + " checks");
    }

    @Test
    void aRunGoesOnFromACheckpointUnderAnotherNameAsTheTableSays() throws IOException {
        String command = codes(table().get(COMMAND)).getFirst();
        assertTrue(command.startsWith("./mor train --resume runs/a/checkpoints/step-00000800 "), command);
        Path text = folder.resolve("text.txt");
        Files.writeString(
                text,
                IntStream.range(0, 200)
                        .mapToObj(i -> "line " + i * 7919 % 1013 + "\n")
                        .collect(Collectors.joining()));
        Path config = Files.writeString(
                folder.resolve("a.yaml"), """
                name: a
                runs: '%s'
                model: {hidden: 16, layers: 2, heads: 2, kv-heads: 2, ffn: 24, context: 16}
                data: {paths: ['%s'], shards: '%s'}
                backend: {type: cpu, threads: 1}
                training: {steps: 10, batch: 2, evaluation: {every: 0, batches: 1}, checkpoint: {at: [0.8]}}
                """.formatted(folder.resolve("runs"), text, folder.resolve("shards")));
        Said whole = StudyFixture.mor("train", config.toString());
        assertEquals(0, whole.code(), whole.err());
        String shorter = command.replace("./mor ", "")
                .replace("runs/a", folder.resolve("runs/a").toString())
                .replace("step-00000800", "step-00000008")
                .replace("steps=1200", "steps=12");
        Said branch = StudyFixture.mor(shorter.split(" "));
        assertEquals(0, branch.code(), branch.err());
        assertTrue(Files.isDirectory(folder.resolve("runs/b/checkpoints/step-00000012")), branch.out());
        assertTrue(branch.err().contains("step 8 of 12"), branch.err());
    }
}
