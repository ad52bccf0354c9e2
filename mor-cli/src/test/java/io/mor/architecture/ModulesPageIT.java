package io.mor.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.testkit.GoldenText;
import io.mor.testkit.ModulePage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleReference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** docs/modules.md, written from the packaged descriptors, their Javadoc and what the plugins bring. */
class ModulesPageIT {

    private static final Path PAGE = Distribution.projectRoot().resolve("docs/modules.md");

    @Test
    void thePageSaysWhatTheDescriptorsSay() {
        String page = Distribution.describedModules().stream()
                .map(ModulesPageIT::section)
                .collect(Collectors.joining("\n"));
        assertTrue(
                page.contains("router `expert-choice`") && page.contains("backend `cpu`"),
                "extensions of plugins are listed");
        new GoldenText(PAGE, ModuleDescriptorsIT.UPDATE).checkPart("modules", page);
    }

    @Test
    void everyModuleOfTheBuildIsOnThePageOrNamedAsLeftOut() throws IOException {
        String page = Files.readString(PAGE);
        Set<String> missing = new TreeSet<>();
        for (Path sources : Distribution.sourceFolders()) {
            String artifact = ModulePage.artifact(sources);
            if (!page.contains("`" + artifact + "`")) {
                missing.add(artifact);
            }
        }
        assertEquals(Set.of(), missing, "modules that docs/modules.md does not name");
    }

    private static String section(ModuleReference module) {
        ModuleDescriptor descriptor = module.descriptor();
        return ModulePage.section(descriptor, sources(descriptor.name()));
    }

    private static Path sources(String module) {
        for (Path sources : Distribution.sourceFolders()) {
            Path descriptor = sources.resolve("module-info.java");
            if (Files.exists(descriptor)
                    && Pattern.compile("(?m)^(open )?module " + Pattern.quote(module) + " ")
                            .matcher(read(descriptor))
                            .find()) {
                return sources;
            }
        }
        throw new AssertionError("no module-info.java of " + module);
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
