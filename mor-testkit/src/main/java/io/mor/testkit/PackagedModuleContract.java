package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * What a module of one's own promises once it is packed: its descriptor is as committed, it opens nothing to everybody, and its section of a page says what
 * it is. Run it after {@code package}, in the module's folder.
 */
public abstract class PackagedModuleContract {

    private final String name;
    private final String command;

    /**
     * For subclasses.
     *
     * @param name of the module
     * @param command what writes the committed texts anew
     */
    protected PackagedModuleContract(String name, String command) {
        this.name = name;
        this.command = command;
    }

    /** The page with the module's section, between {@code <!-- begin NAME -->} and {@code <!-- end NAME -->}. */
    protected abstract Path page();

    private ModuleDescriptor descriptor() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("target"))) {
            List<Path> jars = files.filter(
                            file -> file.getFileName().toString().matches("mor-[a-z0-9-]+-[0-9.]+(-SNAPSHOT)?\\.jar"))
                    .toList();
            assumeFalse(jars.isEmpty(), "nothing is packed in target yet");
            assertEquals(1, jars.size(), () -> "packed jars in target: " + jars);
            Set<ModuleReference> modules = ModuleFinder.of(jars.getFirst()).findAll();
            return modules.iterator().next().descriptor();
        }
    }

    @Test
    void theDescriptorIsAsCommitted() throws IOException {
        new GoldenText(Path.of("src/test/resources/module.txt"), command).check(ModuleText.of(descriptor()));
    }

    @Test
    void isTheModuleAndOpensNothingToEverybody() throws IOException {
        assertEquals(name, descriptor().name());
        assertFalse(descriptor().isOpen());
        assertEquals(
                List.of(),
                descriptor().opens().stream()
                        .filter(opens -> !opens.isQualified())
                        .toList());
    }

    @Test
    void thePageSaysWhatTheDescriptorSays() throws IOException {
        new GoldenText(page(), command)
                .checkPart(
                        name,
                        ModulePage.section(
                                descriptor(), Path.of("src/main/java").toAbsolutePath()));
    }
}
