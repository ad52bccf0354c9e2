/** Text from a model: prefill and token-by-token decoding through the key-value cache, sampling, stopping and streaming. */
package io.mor.runtime.generate;
