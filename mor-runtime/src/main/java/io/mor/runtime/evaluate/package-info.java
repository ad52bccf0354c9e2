/** How good a model is on text: losses, depths and routing figures, and the calibration of its depth. */
package io.mor.runtime.evaluate;
