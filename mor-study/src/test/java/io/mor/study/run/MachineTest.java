package io.mor.study.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.runtime.builtin.BuiltinPlugin;
import io.mor.runtime.plugin.PluginCatalog;
import java.lang.reflect.Proxy;
import java.util.Map;
import org.junit.jupiter.api.Test;

class MachineTest {

    private static Map<String, String> facts(String device) {
        Backend backend = (Backend) Proxy.newProxyInstance(
                Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, (proxy, method, arguments) -> {
                    assertEquals("description", method.getName(), "nothing else is asked");
                    return device;
                });
        try (PluginCatalog catalog = PluginCatalog.of(new BuiltinPlugin())) {
            return Machine.describe(catalog, backend, Map.of("mor", "1.2.3", "commit", "abc123-dirty"));
        }
    }

    @Test
    void saysWhichProgramJavaSystemProcessorAndPluginsATrialRanWith() {
        Map<String, String> facts = facts("Vector API, 2 threads");
        assertEquals("1.2.3", facts.get("mor"));
        assertEquals("abc123-dirty", facts.get("commit"));
        assertTrue(facts.get("java").contains(Runtime.version().toString()), facts::toString);
        assertTrue(facts.get("os").contains(System.getProperty("os.arch")), facts::toString);
        assertFalse(facts.get("cpu").isBlank());
        assertTrue(Integer.parseInt(facts.get("processors")) > 0);
        assertEquals("Vector API, 2 threads", facts.get("backend"));
        assertTrue(facts.containsKey("plugin io.mor.runtime.builtin"), facts::toString);
        assertFalse(facts.containsKey("gpu"));
    }

    @Test
    void saysWhichGpuItWas() {
        assertEquals(
                "NVIDIA H100 80GB HBM3, fast",
                facts("NVIDIA H100 80GB HBM3, fast").get("gpu"));
    }
}
