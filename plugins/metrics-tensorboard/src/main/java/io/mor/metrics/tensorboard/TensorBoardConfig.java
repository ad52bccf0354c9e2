package io.mor.metrics.tensorboard;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;

/**
 * What can be configured of the sink.
 *
 * @param folder in the run folder
 */
public record TensorBoardConfig(
        @Help("folder of the event files in the run folder") @DefaultValue("tensorboard")
        String folder) {}
