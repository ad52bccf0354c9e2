/** Recursion-wise caching. */
package io.mor.kvcache.recursionwise;
