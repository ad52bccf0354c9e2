package io.mor.study.run;

import io.mor.runtime.MorException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.json.JsonMapper;

/** Records in JSON files that are whole or not there. */
final class JsonFiles {

    static final JsonMapper MAPPER = JsonMapper.builder()
            .disable(MapperFeature.SORT_PROPERTIES_ALPHABETICALLY)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    private JsonFiles() {}

    /**
     * Writes a record beside its place, syncs and renames it.
     *
     * @throws MorException if that fails, with a full disk for example; what was there stays
     */
    static void write(Path file, Object record) {
        Path temporary = file.resolveSibling("." + file.getFileName() + ".tmp");
        try {
            Files.createDirectories(file.toAbsolutePath().getParent());
            Files.writeString(temporary, MAPPER.writeValueAsString(record) + "\n");
            try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.WRITE)) {
                channel.force(true);
            }
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new MorException(
                    file + " cannot be written: " + e.getMessage()
                            + ". Nothing is lost; check the space on the disk and run the same command again",
                    e);
        }
    }

    /**
     * Reads a record; empty if there is no file.
     *
     * @throws MorException naming the file if it cannot be read
     */
    static <T> Optional<T> read(Path file, Class<T> type) {
        if (!Files.isRegularFile(file)) {
            return Optional.empty();
        }
        try {
            return Optional.of(MAPPER.readValue(Files.readString(file), type));
        } catch (IOException | JacksonException e) {
            throw new MorException(
                    file + " cannot be read: " + e.getMessage() + ". Delete it, and mor ablate makes it again", e);
        }
    }
}
