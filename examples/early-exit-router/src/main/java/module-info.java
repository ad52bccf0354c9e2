/** A router that lets tokens exit when they have converged. */
module com.example.earlyexit {
    requires io.mor.api;

    exports com.example.earlyexit;

    provides io.mor.api.plugin.MorPlugin with
            com.example.earlyexit.EarlyExitPlugin;
}
