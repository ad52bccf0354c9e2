package io.mor.metrics.mlflow;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.List;

/** Brings the metric sink {@code mlflow}. */
public final class MlflowPlugin implements MorPlugin {

    /** For the service loader. */
    public MlflowPlugin() {}

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.METRIC_SINK,
                "mlflow",
                MlflowSink.class,
                MlflowConfig.class,
                "an MLflow tracking server; sends nothing unless a config names it"));
    }
}
