/** A recursion block whose attention and feed-forward part stand side by side. */
module com.example.parallel {
    requires io.mor.api;

    exports com.example.parallel;

    provides io.mor.api.plugin.MorPlugin with
            com.example.parallel.ParallelPlugin;
}
