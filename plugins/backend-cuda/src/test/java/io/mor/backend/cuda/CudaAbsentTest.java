package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.List;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;

/** What a user without a GPU sees. */
class CudaAbsentTest {

    @Test
    void openingWithoutAGpuIsOneSentenceThatSaysWhatToDo() {
        assumeFalse(CudaDoctor.examine().usable(), "skipped, there is a GPU");
        CudaUnavailableException refusal =
                assertThrows(CudaUnavailableException.class, () -> new CudaBackend(CudaConfig.defaults()));
        assertFalse(refusal.getMessage().contains("\n"), refusal.getMessage());
        assertTrue(refusal.getMessage().matches(".*(install|use backend: cpu|set ).*"), refusal.getMessage());
    }

    @Test
    void theDoctorSaysWhatIsMissingAndWhereItLooked() {
        CudaDoctor doctor = CudaDoctor.examine(new LibrarySearch(List.of()));
        String all = String.join("\n", doctor.lines());
        assertTrue(all.contains("libnvrtc (compiles the kernels): not found, looked for libnvrtc.so.1"), all);
        assertTrue(all.contains("libcublasLt (multiplies matrices in the fast mode): not found"), all);
        assertTrue(all.contains("nvidia-cublas"), all);
        assertTrue(all.contains("looked into: "), all);
        assertFalse(doctor.usable());
        assertFalse(doctor.summary().isEmpty());
        assertFalse(doctor.summary().contains("\n"));
    }

    @Test
    void theDoctorNamesTheFoldersOfThisMachine() {
        CudaDoctor doctor = CudaDoctor.examine();
        String last = doctor.lines().getLast();
        LibrarySearch.ofThisMachine().folders().forEach(folder -> assertTrue(last.contains(folder.toString()), last));
    }

    @Test
    void thePluginsDiagnosisIsTheDoctors() {
        List<String> lines = new CudaPlugin().diagnosis();
        assertTrue(
                lines.stream().anyMatch(line -> line.startsWith("libnvrtc (compiles the kernels): ")),
                lines.toString());
        assertTrue(lines.getLast().startsWith("looked into: "), lines.toString());
    }

    @Test
    void anUnsetConfigValueIsRefusedByName() {
        NullPointerException refusal =
                assertThrows(NullPointerException.class, () -> new CudaConfig(0, null, CudaMode.FAST, true, ""));
        assertTrue(refusal.getMessage().contains("precision"), refusal.getMessage());
    }

    @Test
    void thePluginIsFound() {
        List<Extension> extensions = ServiceLoader.load(MorPlugin.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(CudaPlugin.class::isInstance)
                .flatMap(plugin -> plugin.extensions().stream())
                .toList();
        assertEquals(1, extensions.size());
        assertEquals(ExtensionKind.BACKEND, extensions.getFirst().kind());
        assertEquals("cuda", extensions.getFirst().id());
        assertEquals(CudaConfig.class, extensions.getFirst().config());
    }
}
