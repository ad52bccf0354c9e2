package io.mor.metrics.tensorboard;

import io.mor.api.plugin.Extension;
import io.mor.api.plugin.ExtensionKind;
import io.mor.api.plugin.MorPlugin;
import java.util.List;

/** Brings the metric sink {@code tensorboard}. */
public final class TensorBoardPlugin implements MorPlugin {

    /** For the service loader. */
    public TensorBoardPlugin() {}

    @Override
    public List<Extension> extensions() {
        return List.of(new Extension(
                ExtensionKind.METRIC_SINK,
                "tensorboard",
                TensorBoardSink.class,
                TensorBoardConfig.class,
                "TensorBoard event files in the run folder"));
    }
}
