package io.mor.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProductChoicesTest {

    private static final byte[] ALGORITHM = {1, -2, 3, 127, -128};

    @TempDir
    private Path folder;

    private ProductChoices open() {
        return new ProductChoices(folder.resolve("cuda"), "NVIDIA H100 80GB HBM3", 130000);
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> all = Files.list(folder.resolve("cuda"))) {
            return all.toList();
        }
    }

    @Test
    void whatWasMeasuredIsThereForTheNextProcess() throws IOException {
        ProductChoices first = open();
        assertEquals(Optional.empty(), first.get("32x48x64-bf16-256"));
        first.put("32x48x64-bf16-256", ALGORITHM);
        first.put("32x48x64-f32-a-256", new byte[] {7});
        ProductChoices next = open();
        assertArrayEquals(ALGORITHM, next.get("32x48x64-bf16-256").orElseThrow());
        assertArrayEquals(new byte[] {7}, next.get("32x48x64-f32-a-256").orElseThrow());
        assertTrue(next.isWritable());
        assertEquals(
                "products-NVIDIA-H100-80GB-HBM3-130000.txt",
                files().getFirst().getFileName().toString());
    }

    @Test
    void aDamagedFileIsMeasuredAnew() throws IOException {
        open().put("32x48x64-bf16-256", ALGORITHM);
        Files.writeString(files().getFirst(), "32x48x64-bf16-256 nonsense\n");
        assertEquals(Optional.empty(), open().get("32x48x64-bf16-256"));
    }

    @Test
    void whatCannotBeKeptEndsTheMeasuring() throws IOException {
        Files.writeString(folder.resolve("cuda"), "a file where the folder should be");
        ProductChoices choices = open();
        choices.put("32x48x64-bf16-256", ALGORITHM);
        assertFalse(choices.isWritable());
    }
}
