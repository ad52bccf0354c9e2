/** Runs from configs: what a host program or the command line works with. */
package io.mor.runtime.experiment;
