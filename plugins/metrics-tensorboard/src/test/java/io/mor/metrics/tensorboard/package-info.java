/** Tests of the sink. */
package io.mor.metrics.tensorboard;
