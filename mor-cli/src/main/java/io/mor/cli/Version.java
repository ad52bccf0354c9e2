package io.mor.cli;

import java.util.Optional;

/** What {@code --version} prints. */
final class Version {

    private Version() {}

    static String text() {
        return "mor " + number() + " (Java " + Runtime.version().feature() + ", " + System.getProperty("os.name") + " "
                + System.getProperty("os.arch") + ")";
    }

    /** The version of the module, or of the jar where it is on the class path; the build writes it into both. */
    static String number() {
        return Optional.ofNullable(Version.class.getModule().getDescriptor())
                .flatMap(descriptor -> descriptor.rawVersion())
                .or(() -> Optional.ofNullable(Version.class.getPackage().getImplementationVersion()))
                .orElse("development");
    }
}
