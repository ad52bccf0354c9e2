package io.mor.runtime.plugin;

/**
 * Which plugin an extension is from.
 *
 * @param name the plugin's module name, or its class if it is in no named module
 * @param version its module's version or its jar's Implementation-Version; {@code unknown} if neither says
 * @param location the jar or folder
 */
public record PluginSource(String name, String version, String location) {

    @Override
    public String toString() {
        return name + (version.equals("unknown") ? "" : " " + version) + " (" + location + ")";
    }
}
