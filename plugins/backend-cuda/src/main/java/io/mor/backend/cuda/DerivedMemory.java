package io.mor.backend.cuda;

import io.mor.api.tensor.IntTensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;

/**
 * Device memory whose contents follow from integers on the device, kept until something is written to them. The layers of a step ask for the
 * same again and again, and get the same address in every step whose tensors are the same.
 *
 * @param <K> what else decides size and contents
 */
final class DerivedMemory<K> {

    private final CudaContext context;
    private final int most;
    private final String what;
    private final Map<Key<K>, Kept> kept = new LinkedHashMap<>(16, 0.75f, true); // the one not asked for longest first

    /** Memory as a handle knows it; another allocation at the same address has another lifetime. */
    private record Place(Lifetime lifetime, long address) {}

    private record Key<K>(K key, List<Place> sources) {

        List<Long> versions() {
            return sources.stream().map(place -> place.lifetime.version()).toList();
        }
    }

    /** What was made of the versions. */
    private record Kept(DeviceMemory.Block block, List<Long> versions) {}

    /**
     * @param most that are kept at a time
     * @param what for messages
     */
    DerivedMemory(CudaContext context, int most, String what) {
        this.context = context;
        this.most = most;
        this.what = what;
    }

    /**
     * The address of what follows from the sources.
     *
     * @param bytes its size, which the key decides
     * @param make launches what writes it to the address given
     */
    long of(K key, List<IntTensor> sources, long bytes, LongConsumer make) {
        Key<K> whole = new Key<>(
                key,
                sources.stream()
                        .map(context::of)
                        .map(ints -> new Place(ints.lifetime, ints.address))
                        .toList());
        Kept before = kept.get(whole);
        List<Long> versions = whole.versions();
        if (before != null && before.versions.equals(versions)) {
            return before.block.address();
        }
        if (before == null && kept.size() == most) {
            Key<K> oldest = kept.keySet().iterator().next();
            context.memory.release(kept.remove(oldest).block);
        }
        DeviceMemory.Block block = before == null ? context.memory.allocate(bytes, what) : before.block;
        kept.put(whole, new Kept(block, List.of())); // of no version until it is made
        make.accept(block.address());
        kept.put(whole, new Kept(block, versions));
        return block.address();
    }
}
