/** Figures of a run as TensorBoard reads them. */
package io.mor.metrics.tensorboard;
