/**
 * The metric sink {@code mlflow}: figures to an MLflow tracking server, through MLflow's own client. The only plugin that speaks to a network, and only
 * where a config names the sink and the server.
 *
 * <p>Exports its one package so that the runtime can make its classes; opens nothing. Found as a {@link io.mor.api.plugin.MorPlugin}.
 */
module io.mor.metrics.mlflow {
    requires io.mor.api;
    requires mlflow.client;

    exports io.mor.metrics.mlflow;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.metrics.mlflow.MlflowPlugin;
}
