/** Running of trials: their folders, their processes, what is collected of them, and the study that goes on where it stopped. */
package io.mor.study.run;
