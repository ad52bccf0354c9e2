/** A cache strategy whose later recursions see a window. */
module com.example.windowed {
    requires io.mor.api;

    exports com.example.windowed;

    provides io.mor.api.plugin.MorPlugin with
            com.example.windowed.WindowedPlugin;
}
