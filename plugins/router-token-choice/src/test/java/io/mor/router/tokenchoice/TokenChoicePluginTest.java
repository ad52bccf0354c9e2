package io.mor.router.tokenchoice;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.MorPlugin;
import io.mor.runtime.binding.ConfigNode;
import io.mor.runtime.binding.RecordBinder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;

/** What the plugin brings, and how its configs read. */
class TokenChoicePluginTest {

    @Test
    void theServiceLoaderFindsItsExtensions() {
        List<String> found = ServiceLoader.load(MorPlugin.class).stream()
                .filter(provider -> provider.type() == TokenChoicePlugin.class)
                .flatMap(provider -> provider.get().extensions().stream())
                .map(Extension::id)
                .toList();
        assertEquals(List.of("token-choice"), found);
    }

    @Test
    void noKeysGiveThePublishedSetting() {
        assertEquals(
                new TokenChoiceConfigs().build(),
                RecordBinder.bindOrThrow(TokenChoiceConfig.class, ConfigNode.Mapping.EMPTY, "router"));
    }

    @Test
    void everyKeyIsReadInKebabCase() {
        Map<String, Object> keys = new LinkedHashMap<>();
        keys.put("architecture", "mlp");
        keys.put("function", "sigmoid");
        keys.put("alpha", 0.1);
        keys.put("temperature", 2);
        keys.put("gating", "additive");
        keys.put("balancing", "loss-free");
        keys.put("coefficient", 0.01);
        keys.put("update-rate", 0.01);
        keys.put("balance-warmup-steps", 7);
        keys.put("z-coefficient", 1e-3);
        TokenChoiceConfigs expected = new TokenChoiceConfigs();
        expected.architecture = Architecture.MLP;
        expected.function = ScoreFunction.SIGMOID;
        expected.alpha = 0.1;
        expected.temperature = 2;
        expected.gating = Gating.ADDITIVE;
        expected.balancing = Balancing.LOSS_FREE;
        expected.coefficient = 0.01;
        expected.updateRate = 0.01;
        expected.balanceWarmupSteps = 7;
        expected.zCoefficient = 1e-3;
        assertEquals(
                expected.build(), RecordBinder.bindOrThrow(TokenChoiceConfig.class, ConfigNode.of(keys), "router"));
    }
}
