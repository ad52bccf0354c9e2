package io.mor.cli;

/** What the process ends with. */
final class ExitCode {

    static final int SUCCESS = 0;
    static final int FAILURE = 1;
    static final int USAGE = 2;

    /** 128 and the number of SIGINT, as shells expect after Ctrl-C. */
    static final int INTERRUPTED = 130;

    private ExitCode() {}
}
