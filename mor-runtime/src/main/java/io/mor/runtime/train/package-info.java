/** Training: optimizer, schedules, steps, checkpoints. */
package io.mor.runtime.train;
