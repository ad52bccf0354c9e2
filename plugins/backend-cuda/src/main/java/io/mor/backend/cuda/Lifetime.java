package io.mor.backend.cuda;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** Whether an allocation may still be used, and what is known of its contents; shared by the tensor that owns the memory and all its views. */
final class Lifetime {

    final DeviceMemory.Block block;
    final long bytes; // that were asked for
    private final CudaContext owner;
    private final String name;
    private boolean released;
    private boolean shadowHolds;
    private long version;
    private Optional<DeviceMemory.Block> shadow = Optional.empty();
    private final Map<NormedWeights.Source, NormedWeights.Copy> normedCopies = new LinkedHashMap<>();
    private final Set<Lifetime> scaled = new LinkedHashSet<>();

    /**
     * @param bytes that were asked for
     * @param name what was allocated, for messages: {@code tensor [3, 5]}
     */
    Lifetime(CudaContext owner, DeviceMemory.Block block, long bytes, String name) {
        this.owner = owner;
        this.block = block;
        this.bytes = bytes;
        this.name = name;
    }

    /** Fails if the memory belongs to another backend or was given back. */
    void check(CudaContext user) {
        if (owner != user) {
            throw new IllegalArgumentException(
                    name + " belongs to another instance of the cuda backend; copy its values over");
        }
        if (released) {
            throw new IllegalStateException(
                    name + " was used after it was released; keep it until its last kernel has been called");
        }
    }

    /** The memory is given back; returns what goes with it. */
    List<DeviceMemory.Block> end() {
        List<DeviceMemory.Block> copies = Stream.concat(
                        shadow.stream(), normedCopies.values().stream().map(NormedWeights.Copy::block))
                .toList();
        released = true;
        shadow = Optional.empty();
        normedCopies.clear();
        return copies;
    }

    /** Something writes to the memory: its copy in bfloat16 holds no longer. */
    void written() {
        shadowHolds = false;
        version++;
    }

    /** A number that changes whenever something writes to the memory. */
    long version() {
        return version;
    }

    /** Whether the copy in bfloat16 has the values of the memory. */
    boolean shadowHolds() {
        return shadowHolds;
    }

    /** The copy in bfloat16 of the whole memory, if there ever was one. */
    Optional<DeviceMemory.Block> shadow() {
        return shadow;
    }

    /** The copy has the values of the memory from now on. */
    void shadowed(DeviceMemory.Block copy) {
        shadow = Optional.of(copy);
        shadowHolds = true;
    }

    /** Copies of weights in this memory, times a norm's weight. */
    Map<NormedWeights.Source, NormedWeights.Copy> normedCopies() {
        return normedCopies;
    }

    /** A norm's weight in this memory is in copies of weights in another. */
    void scales(Lifetime weights) {
        scaled.removeIf(each -> each.released);
        scaled.add(weights);
    }

    /** The memory of weights in whose copies a norm's weight in this memory is. */
    Set<Lifetime> scaled() {
        return scaled;
    }

    @Override
    public String toString() {
        return name;
    }
}
