/** Training. */
package io.mor.runtime.train;
