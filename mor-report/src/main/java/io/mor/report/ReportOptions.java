package io.mor.report;

import java.time.Instant;
import java.util.Optional;

/**
 * What a report says of itself.
 *
 * @param generated when it was made
 * @param morVersion of the program that makes it
 * @param command that made it, shown so that a reader can make it again
 */
public record ReportOptions(Instant generated, String morVersion, Optional<String> command) {}
