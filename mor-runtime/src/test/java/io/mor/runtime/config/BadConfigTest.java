package io.mor.runtime.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.UsageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BadConfigTest {

    @TempDir
    Path folder;

    private static String message(String yaml) {
        return assertThrows(
                        UsageException.class,
                        () -> ExperimentConfig.builder().yaml(yaml).build(TestExtensions.catalog()))
                .getMessage();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "trainign: {steps: 1}                      | config text:1: unknown key 'trainign' in the config; did you mean 'training'?",
                "training: {learnig-rate: 1}               | config text:1: unknown key 'learnig-rate' in training; did you mean 'learning-rate'?",
                "training: {learningRate: 1}               | did you mean 'learning-rate'?",
                "model: {kv_heads: 1}                      | did you mean 'kv-heads'?",
                "training: {steps: many}                   | training.steps is 'many'; it must be a whole number",
                "training: {steps: 1.5}                    | training.steps is '1.5'; it must be a whole number",
                "training: {steps: [1]}                    | training.steps is a list; it must be a whole number",
                "training: 3                               | training is '3'; it must be a mapping with the keys steps, batch,",
                "training: {steps: 0}                      | training.steps is 0; it must be at least 1",
                "training: {learning-rate: 1e999}          | training.learning-rate is '1e999'; it must be a number",
                "training: {epsilon: 0}                    | training.epsilon is 0; it must be more than 0",
                "generation: {top-p: 1.5}                  | generation.top-p is 1.5; it must be more than 0 and at most 1",
                "model: {tied: yes please}                 | model.tied is 'yes please'; it must be true or false",
                "model: {sharing: midle-cycle}             | model.sharing is 'midle-cycle'; it must be one of none, cycle, sequence, middle-cycle, middle-sequence; did you mean 'middle-cycle'?",
                "model: {preset: smollm-360}               | no model preset 'smollm-360'; did you mean 'smollm-360m'?",
                "data: {paths: a.txt}                      | data.paths is 'a.txt'; it must be a list, like [a.txt]",
                "generation: {stop-tokens: [1, -2]}        | generation.stop-tokens[1] is -2; it must be at least 0",
                "router: {alpha: 0.2}                      | unknown key 'alpha' in router; type none has none",
                "router: expert-chioce                     | router: no router 'expert-chioce'; did you mean 'expert-choice'?; there are expert-choice, none, token-choice; looked in the plugins given by the host",
                "tokenizer: {type: bpe, file: x}           | tokenizer: no tokenizer 'bpe'; there are byte",
                "selector: {type: ema-cutoff, decay: 2}    | selector.decay is 2; it must be at least 0 and at most 1",
                "metrics: {sinks: [{type: jsonl, a: 1}]} | unknown key 'a' in metrics.sinks[0]; it has none",
                "model: {hidden: 30, heads: 4}             | model.heads is 4; it must divide model.hidden, 30",
                "model: {hidden: 12, heads: 4}             | model.hidden over model.heads is 3; heads must have an even width",
                "model: {heads: 4, kv-heads: 3}            | model.kv-heads is 3; it must divide model.heads, 4",
                "model: {recursions: 2}                    | model.recursions is 2 but model.sharing is none",
                "model: {sharing: middle-cycle, recursions: 3, layers: 4} | model.layers is 4; sharing middle-cycle with 3 recursions needs at least 5",
                "model: {sharing: cycle, recursions: 2, kv-sharing-groups: 2} | model.kv-sharing-groups is for models with sharing none",
                "model: {kv-sharing-groups: 3}             | model.kv-sharing-groups is 3; it must divide model.layers, 8",
                "kv-cache: hybrid                          | kv-cache hybrid goes with router expert-choice only, not none",
                "training: {steps: 10, schedule: {warmup-steps: 11}} | training.schedule.warmup-steps is 11, more than training.steps, 10",
                "model: {context: 10000000}                | lower training.batch and raise training.accumulation",
                "a: &x 1                                   | unknown key 'a'",
                "[1, 2]                                    | a config is a mapping of keys to values, not a list",
            })
    void everyMistakeIsNamedWithItsPlaceAndRemedy(String yaml, String expected) {
        String message = message(yaml);
        assertTrue(message.contains(expected), message);
    }

    @Test
    void routingNeedsACycle() {
        assertTrue(
                message("router: expert-choice")
                        .contains(
                                "router expert-choice needs model.sharing cycle or middle-cycle and at least 2 model.recursions, not none and 1"));
        assertTrue(message("router: token-choice\nmodel: {sharing: middle-sequence, recursions: 2}")
                .contains("not middle-sequence and 2"));
    }

    @Test
    void capacitiesAreOnePerRecursionAndDoNotIncrease() {
        String model = "model: {sharing: cycle, recursions: 3, layers: 9}\n";
        assertTrue(message(model + "router: {type: expert-choice, capacity: [1, 0.5]}")
                .contains("router.capacity has 2 values; model.recursions is 3"));
        assertTrue(message(model + "router: {type: expert-choice, capacity: [1, 0.5, 0.6]}")
                .contains("router.capacity[2] is 0.6, more than 0.5 before it"));
        assertTrue(message(model + "router: {type: expert-choice, capacity: [1, 0.5, -1]}")
                .contains("router.capacity[2] is -1; it must be at least 0 and at most 1"));
    }

    @Test
    void allMistakesAreToldAtOnceWithTheirLines() throws IOException {
        Path file = Files.writeString(
                folder.resolve("run.yaml"),
                "training:\n  steps: 0\n  bach: 2\nrouter:\n  type: expert-choice\n  alpha: 11\nmodel:\n  recursions: 2\n");

        String message = assertThrows(
                        UsageException.class,
                        () -> ExperimentConfig.builder().file(file).build(TestExtensions.catalog()))
                .getMessage();

        assertTrue(message.startsWith("2 things are wrong with the config:\n"), message);
        assertTrue(message.contains(file + ":2: training.steps is 0"), message);
        assertTrue(message.contains(file + ":3: unknown key 'bach' in training; did you mean 'batch'?"), message);
        Files.writeString(file, "router:\n  type: expert-choice\n  alpha: 11\nmodel:\n  recursions: 2\n");
        String second = assertThrows(
                        UsageException.class,
                        () -> ExperimentConfig.builder().file(file).build(TestExtensions.catalog()))
                .getMessage();
        assertTrue(second.contains(file + ":3: router.alpha is 11"), second);
        assertTrue(second.contains("model.recursions is 2 but"), second);
    }

    @Test
    void anOverrideIsNamedAsItWasGiven() {
        ConfigBuilder builder = ExperimentConfig.builder();
        assertTrue(assertThrows(
                        UsageException.class,
                        () -> builder.override("training.steps=x").build())
                .getMessage()
                .startsWith("-s training.steps=x: training.steps is 'x'"));
        assertTrue(assertThrows(
                        UsageException.class,
                        () -> builder.override("training.stps=1").build())
                .getMessage()
                .startsWith("-s training.stps=1: unknown key"));
        assertTrue(assertThrows(UsageException.class, () -> builder.override("training"))
                .getMessage()
                .contains("an override is key=value"));
        assertTrue(assertThrows(UsageException.class, () -> builder.override("a..b=1"))
                .getMessage()
                .contains("'a..b' is no key"));
        assertTrue(assertThrows(
                        UsageException.class,
                        () -> builder.yaml("data: {paths: [a]}").override("data.paths[3]=x"))
                .getMessage()
                .contains("'3' is none of them"));
    }

    @Test
    void filesThatCannotBeReadAreNamed() throws IOException {
        Path missing = folder.resolve("none.yaml");
        assertEquals(
                "config file " + missing + " does not exist",
                assertThrows(UsageException.class, () -> ExperimentConfig.load(missing))
                        .getMessage());
        Path broken = Files.writeString(folder.resolve("broken.yaml"), "a: 1\nb: [1, 2\nc: {\n");
        String message = assertThrows(UsageException.class, () -> ExperimentConfig.load(broken))
                .getMessage();
        assertTrue(message.startsWith(broken + ":") && message.contains("not valid YAML"), message);
        Path binary = Files.write(folder.resolve("binary.yaml"), new byte[] {(byte) 0xff, (byte) 0xfe, 0, 1});
        assertTrue(assertThrows(UsageException.class, () -> ExperimentConfig.load(binary))
                .getMessage()
                .contains("binary.yaml"));
    }

    @Test
    void keysGivenTwiceAndAliasesAreRefused() {
        assertTrue(message("seed: 1\nseed: 2").contains("seed"));
        assertTrue(message("name: &n x\nruns: *n").contains("aliases"));
    }
}
