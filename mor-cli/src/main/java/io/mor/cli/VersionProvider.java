package io.mor.cli;

import picocli.CommandLine.IVersionProvider;

/** The version for picocli. */
final class VersionProvider implements IVersionProvider {

    @Override
    public String[] getVersion() {
        return new String[] {Version.text()};
    }
}
