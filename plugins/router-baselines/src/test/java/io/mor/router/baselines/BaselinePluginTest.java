package io.mor.router.baselines;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.MorPlugin;
import io.mor.runtime.binding.ConfigNode;
import io.mor.runtime.binding.RecordBinder;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;

/** What the plugin brings, and how its configs read. */
class BaselinePluginTest {

    @Test
    void theServiceLoaderFindsItsExtensions() {
        List<String> found = ServiceLoader.load(MorPlugin.class).stream()
                .filter(provider -> provider.type() == BaselinePlugin.class)
                .flatMap(provider -> provider.get().extensions().stream())
                .map(Extension::id)
                .toList();
        assertEquals(List.of("random", "fixed-depth"), found);
    }

    @Test
    void configsRead() {
        assertEquals(
                new RandomRouterConfig(List.of(), 0.1),
                RecordBinder.bindOrThrow(RandomRouterConfig.class, ConfigNode.Mapping.EMPTY, "router"));
        assertEquals(
                new FixedDepthRouterConfig(0),
                RecordBinder.bindOrThrow(FixedDepthRouterConfig.class, ConfigNode.Mapping.EMPTY, "router"));
        ConfigNode.Mapping keys = ConfigNode.of(Map.of("capacity", List.of(1, 0.25), "alpha", 0.5));
        assertEquals(
                new RandomRouterConfig(List.of(1.0, 0.25), 0.5),
                RecordBinder.bindOrThrow(RandomRouterConfig.class, keys, "router"));
    }
}
