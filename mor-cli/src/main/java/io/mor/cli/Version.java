package io.mor.cli;

import java.util.Optional;
import picocli.CommandLine.IVersionProvider;

/** What {@code --version} prints. */
final class Version implements IVersionProvider {

  static String text() {
    return "mor "
        + number()
        + " (Java "
        + Runtime.version().feature()
        + ", "
        + System.getProperty("os.name")
        + " "
        + System.getProperty("os.arch")
        + ")";
  }

  /** The version of the module, which the build writes into its descriptor. */
  static String number() {
    return Optional.ofNullable(Version.class.getModule().getDescriptor()).flatMap(descriptor -> descriptor.rawVersion()).orElse("development");
  }

  @Override
  public String[] getVersion() {
    return new String[] {text()};
  }
}
