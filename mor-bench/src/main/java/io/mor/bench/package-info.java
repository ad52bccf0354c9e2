/** Benchmark programs. */
package io.mor.bench;
