/**
 * Reports of studies: one HTML file that draws itself, needs no network and loads nothing.
 *
 * <p>A module of its own so that running studies does not bring a library of charts along. Exports {@code io.mor.report}. Opens nothing.
 */
module io.mor.report {
    requires transitive io.mor.study;
    requires tools.jackson.databind;
    requires tools.jackson.dataformat.yaml;

    exports io.mor.report;
}
