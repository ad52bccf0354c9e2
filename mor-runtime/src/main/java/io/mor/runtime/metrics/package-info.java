/** The built-in metric sinks: JSON lines and TensorBoard event files. */
package io.mor.runtime.metrics;
