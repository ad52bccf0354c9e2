package io.mor.metrics.mlflow;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import java.net.URI;
import java.util.Objects;

/**
 * Where figures are sent. There is no default server: nothing is sent anywhere that the config does not name.
 *
 * @param trackingUri the server, {@code http://localhost:5000}; user and password, if it wants them, in the environment variables {@code
 *     MLFLOW_TRACKING_USERNAME} and {@code MLFLOW_TRACKING_PASSWORD}, a token in {@code MLFLOW_TRACKING_TOKEN}
 * @param experiment the MLflow experiment; made where there is none of that name
 */
public record MlflowConfig(
        @Help("tracking server, like http://localhost:5000") String trackingUri,

        @Help("MLflow experiment; made if it is missing") @DefaultValue("mor")
        String experiment) {

    /**
     * Checks both.
     *
     * @throws IllegalArgumentException naming the key
     */
    public MlflowConfig {
        Objects.requireNonNull(trackingUri, "tracking-uri is null");
        Objects.requireNonNull(experiment, "experiment is null");
        String scheme = URI.create(trackingUri).getScheme();
        if (!"http".equals(scheme) && !"https".equals(scheme)) {
            throw new IllegalArgumentException(
                    "tracking-uri is '" + trackingUri + "'; it must begin with http:// or https://");
        }
        if (experiment.isBlank()) {
            throw new IllegalArgumentException("experiment is empty");
        }
    }
}
