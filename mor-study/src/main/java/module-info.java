/**
 * Studies: many experiments from one file, planned, run side by side, resumed, and kept in a database that answers questions.
 *
 * <p>A module of its own so that embedding the runtime does not bring a database along. Exports the results and their database ({@code
 * io.mor.study}), the plan ({@code io.mor.study.plan}) and its execution ({@code io.mor.study.run}). Opens nothing.
 */
module io.mor.study {
    requires transitive io.mor.runtime;
    requires duckdb.jdbc;
    requires java.sql;
    requires tools.jackson.databind;

    exports io.mor.study;
    exports io.mor.study.plan;
    exports io.mor.study.run;
}
