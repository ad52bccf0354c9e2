package io.mor.study.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The devices there are, shared out among trials side by side: GPUs one after the other, processors in equal parts.
 *
 * @param gpus as CUDA_VISIBLE_DEVICES names them; empty if there are none
 * @param processors of this machine
 */
record Devices(List<String> gpus, int processors) {

    /** The variable that says which GPUs a process sees. */
    static final String VISIBLE = "CUDA_VISIBLE_DEVICES";

    static Devices ofThisMachine() {
        int processors = Runtime.getRuntime().availableProcessors();
        String visible = System.getenv(VISIBLE);
        if (visible != null) {
            return new Devices(
                    visible.isBlank() ? List.of() : List.of(visible.strip().split("\\s*,\\s*")), processors);
        }
        Path drivers = Path.of("/proc/driver/nvidia/gpus");
        if (!Files.isDirectory(drivers)) {
            return new Devices(List.of(), processors);
        }
        try (Stream<Path> found = Files.list(drivers)) {
            return new Devices(
                    IntStream.range(0, (int) found.count())
                            .mapToObj(Integer::toString)
                            .toList(),
                    processors);
        } catch (IOException e) {
            return new Devices(List.of(), processors);
        }
    }

    /** The variables of a process in a slot: with several GPUs, each slot sees one. */
    Map<String, String> environment(int slot) {
        return gpus.size() > 1 ? Map.of(VISIBLE, gpus.get(slot % gpus.size())) : Map.of();
    }

    /** Processors of each of so many slots. */
    int processorsOf(int slots) {
        return Math.max(1, processors / slots);
    }
}
