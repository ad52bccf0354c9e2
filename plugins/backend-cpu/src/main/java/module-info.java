/**
 * The backend {@code cpu}: single precision on the processor's vector units, through the incubating Vector API, with its own pool of
 * threads. Every result is the same bits for any number of threads, and a row's result does not depend on the other rows of the call.
 *
 * <p>Exports its one package, for embedding and for tests; opens nothing. Found as a {@link io.mor.api.plugin.MorPlugin}. On the class path
 * the JVM needs {@code --add-modules jdk.incubator.vector}; on the module path this descriptor asks for it.
 */
module io.mor.backend.cpu {
    requires transitive io.mor.api;
    requires java.management; // time on a processor, beside time that passes
    requires jdk.incubator.vector;

    exports io.mor.backend.cpu;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.backend.cpu.CpuPlugin;
}
