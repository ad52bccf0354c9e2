package io.mor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.plugin.ExtensionKind;
import io.mor.runtime.UsageException;
import io.mor.runtime.config.ExperimentConfig;
import io.mor.runtime.config.ExtensionConfig;
import io.mor.runtime.config.ModelPresets;
import io.mor.runtime.plugin.FoundExtension;
import io.mor.runtime.plugin.PluginCatalog;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Configs against the plugins that are shipped. */
class ShippedPluginsConfigTest {

    private final PluginCatalog catalog = PluginCatalog.discover();

    @AfterEach
    void close() {
        catalog.close();
    }

    @Test
    void theDefaultConfigNamesExtensionsThatAreThere() {
        ExperimentConfig config = ExperimentConfig.builder().build(catalog);
        assertEquals(config, ExperimentConfig.builder().yaml(config.toYaml()).build(catalog));
    }

    @Test
    void everyPresetGoesWithEveryRouterAndCacheThatSpecificationAllows() {
        int combinations = 0;
        for (String preset : ModelPresets.names()) {
            for (FoundExtension router : catalog.extensions(ExtensionKind.ROUTER)) {
                for (FoundExtension cache : catalog.extensions(ExtensionKind.KV_CACHE)) {
                    String routerId = router.extension().id();
                    String cacheId = cache.extension().id();
                    if (cacheId.equals("hybrid") && !routerId.equals("expert-choice")) {
                        continue;
                    }
                    ExperimentConfig config = ExperimentConfig.builder()
                            .yaml("model: {preset: " + preset + ", sharing: middle-cycle, recursions: 3}\nrouter: "
                                    + routerId + "\nkv-cache: " + cacheId)
                            .build(catalog);
                    assertEquals(
                            config,
                            ExperimentConfig.builder().yaml(config.toYaml()).build(catalog));
                    combinations++;
                }
            }
        }
        assertTrue(combinations >= 6 * 9, combinations + " combinations; are all plugins on the path?");
    }

    @Test
    void expertChoiceDecodesByTrackedCutOffsUnlessToldOtherwise() {
        String mor = "model: {sharing: cycle, recursions: 2}\nrouter: expert-choice\n";
        assertEquals(
                "ema-cutoff",
                ExperimentConfig.builder().yaml(mor).build(catalog).selector().type());
        assertEquals(
                "logit-threshold",
                ExperimentConfig.builder()
                        .yaml(mor + "selector: logit-threshold")
                        .build(catalog)
                        .selector()
                        .type());
        assertEquals(
                ExtensionConfig.of("default"),
                ExperimentConfig.builder().build(catalog).selector());
    }

    @Test
    void keysOfShippedExtensionsAreChecked() {
        String mor = "model: {sharing: cycle, recursions: 2}\n";
        for (String[] wrong : List.of(
                new String[] {"router: {type: expert-choice, capacity: [0.5, 1]}", "must not increase"},
                new String[] {"router: {type: expert-choice, capasity: [1, 0.5]}", "did you mean 'capacity'?"},
                new String[] {
                    "router: {type: token-choice, function: tanh}", "router.function is 'tanh'; it must be one of"
                },
                new String[] {"router: {type: random, alpha: 0}", "router.alpha is 0; it must be more than 0"},
                new String[] {"selector: fixed-depth", "selector.depth is missing; it has no default"})) {
            String message = assertThrows(
                            UsageException.class,
                            () -> ExperimentConfig.builder()
                                    .yaml(mor + wrong[0])
                                    .build(catalog))
                    .getMessage();
            assertTrue(message.contains(wrong[1]), message);
        }
    }

    @Test
    void theExampleOfEveryExtensionIsAConfig() {
        for (FoundExtension found : catalog.extensions()) {
            String example = String.join("\n", PluginsShowCommand.example(found)) + "\n";
            String before = switch (found.extension().kind()) {
                case RECURSION_BLOCK -> "";
                case ROUTER -> "model: {sharing: cycle, recursions: 3}\n";
                default ->
                    "model: {sharing: cycle, recursions: 3}\nrouter: {type: expert-choice, sampling: aux-router}\n";
            };
            ExperimentConfig config =
                    ExperimentConfig.builder().yaml(before + example).build(catalog);
            assertTrue(config.toYaml().contains("type: " + found.extension().id()), example);
        }
        assertTrue(catalog.extensions().size() >= 18, () -> catalog.extensions().size() + " extensions");
    }
}
