/**
 * The {@code mor} command: reads arguments, calls the runtime, prints. Nothing here is an API.
 *
 * <p>Exports nothing; {@code io.mor.cli} is opened to picocli, which sets the fields of the commands.
 */
module io.mor.cli {
    requires info.picocli;
    requires io.mor.report;
    requires io.mor.study;
    requires io.mor.runtime;
    requires tools.jackson.databind;

    opens io.mor.cli to
            info.picocli;
}
