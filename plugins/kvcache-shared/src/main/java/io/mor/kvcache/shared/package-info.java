/** Sharing of keys and values over recursions. */
package io.mor.kvcache.shared;
