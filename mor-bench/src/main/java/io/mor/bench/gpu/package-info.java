/** What runs on a machine with a GPU: timings of the backend {@code cuda}. */
package io.mor.bench.gpu;
