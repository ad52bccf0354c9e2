package io.mor.router.expertchoice;

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
class ExpertChoicePluginTest {

    @Test
    void theServiceLoaderFindsItsExtensions() {
        List<String> found = ServiceLoader.load(MorPlugin.class).stream()
                .filter(provider -> provider.type() == ExpertChoicePlugin.class)
                .flatMap(provider -> provider.get().extensions().stream())
                .map(Extension::id)
                .toList();
        assertEquals(
                List.of("expert-choice", "logit-threshold", "auxiliary-router", "ema-cutoff", "fixed-depth", "random"),
                found);
    }

    @Test
    void noKeysGiveThePublishedBestSetting() {
        assertEquals(
                new ExpertChoiceConfigs().build(),
                RecordBinder.bindOrThrow(ExpertChoiceConfig.class, ConfigNode.Mapping.EMPTY, "router"));
        assertEquals(
                new EmaCutoffConfig(0.99),
                RecordBinder.bindOrThrow(EmaCutoffConfig.class, ConfigNode.Mapping.EMPTY, "selector"));
    }

    @Test
    void everyKeyIsReadInKebabCase() {
        Map<String, Object> keys = new LinkedHashMap<>();
        keys.put("architecture", "wide-mlp");
        keys.put("function", "none");
        keys.put("alpha", 0.2);
        keys.put("temperature", 1.5);
        keys.put("gating", "additive");
        keys.put("capacity", List.of(1, 0.5));
        keys.put("capacity-warmup-steps", 12);
        keys.put("capacity-warmup-stages", 5);
        keys.put("sampling", "aux-router");
        keys.put("coefficient", 0.01);
        keys.put("coefficient-normalization", "as-released");
        keys.put("z-coefficient", 1e-5);
        ExpertChoiceConfigs expected = new ExpertChoiceConfigs();
        expected.architecture = Architecture.WIDE_MLP;
        expected.function = ScoreFunction.NONE;
        expected.alpha = 0.2;
        expected.temperature = 1.5;
        expected.gating = Gating.ADDITIVE;
        expected.capacity = List.of(1.0, 0.5);
        expected.capacityWarmupSteps = 12;
        expected.capacityWarmupStages = 5;
        expected.sampling = Sampling.AUX_ROUTER;
        expected.coefficient = 0.01;
        expected.normalization = CoefficientNormalization.AS_RELEASED;
        expected.zCoefficient = 1e-5;
        assertEquals(
                expected.build(), RecordBinder.bindOrThrow(ExpertChoiceConfig.class, ConfigNode.of(keys), "router"));
        assertEquals(
                new FixedDepthConfig(2),
                RecordBinder.bindOrThrow(FixedDepthConfig.class, ConfigNode.of(Map.of("depth", 2)), "selector"));
    }
}
