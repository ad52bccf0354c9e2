/**
 * Studies: many experiments from one file, planned, run side by side, resumed, and kept in a database that answers questions.
 *
 * <p>A module of its own so that embedding the runtime does not bring a database along. Exports {@code io.mor.study}: the results and the
 * database they are read from. Opens nothing.
 */
module io.mor.study {
    requires transitive io.mor.runtime;
    requires duckdb.jdbc;
    requires java.sql;
    requires tools.jackson.databind;

    exports io.mor.study;
}
