/**
 * The metric sink {@code tensorboard}: event files in the run folder, written without TensorFlow. A config that names no sinks has it where this module is.
 *
 * <p>Exports its one package so that the runtime can make its classes; opens nothing. Found as a {@link io.mor.api.plugin.MorPlugin}.
 */
module io.mor.metrics.tensorboard {
    requires io.mor.api;

    exports io.mor.metrics.tensorboard;

    provides io.mor.api.plugin.MorPlugin with
            io.mor.metrics.tensorboard.TensorBoardPlugin;
}
